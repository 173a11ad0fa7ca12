import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RefusedError } from '../../errors.js'
import { MastodonVersion, parseVersionRb } from '../../mastodon/version.js'
import type { Outcome } from '../../runner.js'
import { shellLine } from '../../text.js'
import type { ReleasePart } from '../backend.js'
import { firstLine } from '../complaints.js'
import type { BuildConfiguration, ServiceConfiguration } from './configuration.js'
import { missingImages } from './image-store.js'
import { withServices } from './release-override.js'
import { imageTag } from './roles.js'
import type { Stack } from './stack.js'

interface Wanted {
  service: ServiceConfiguration
  part: ReleasePart
  version: string
}

/** What a service says of its build, in place of what the files say. */
interface Changed {
  context?: string
  args?: Record<string, string>
}

/**
 * Builds the image of a release under its new name, as the files say; what serves is not touched.
 *
 * @throws RefusedError where the build would make the former release once more, or fails.
 */
export async function buildImage(stack: Stack, wanted: Wanted, onProgress: (text: string) => void): Promise<void> {
  const { service, part } = wanted
  const build = service.build && (await buildOf(service.build, wanted))
  if (build === undefined) throw sameAgain(wanted)
  onProgress(`building ${part.to}`)
  const services = { [service.name]: { image: part.to, ...(Object.keys(build).length > 0 ? { build } : {}) } }
  const outcome = await withServices(stack, { services, effect: 'write' }, project => {
    const byHand = `${stack.project.byHand(['build', service.name])}   # as ${part.to}`
    return stack.parts.runner.run(project.compose(['build', service.name], { effect: 'write', byHand }), onProgress)
  })
  if (outcome.planned) return
  const isMissing = (await missingImages(stack, [part.to])).length > 0
  if (outcome.exitCode !== 0 || isMissing) throw notBuilt(stack, wanted, firstLine(ending(outcome)))
}

/** Progress comes first; the reason stands at the end. */
function ending({ stdout, stderr }: Outcome): Pick<Outcome, 'stdout' | 'stderr'> {
  const last = (text: string) => text.trimEnd().split('\n').at(-1) ?? ''
  return { stdout: last(stdout), stderr: last(stderr) }
}

/** Returns what has to be said otherwise so that the release is built; undefined where nothing tells which one is. */
async function buildOf({ context, args }: BuildConfiguration, { part, version }: Wanted): Promise<Changed | undefined> {
  const former = MastodonVersion.parse(imageTag(part.from).replace(/^v/, ''))?.toString()
  if (former !== undefined) {
    const whole = new RegExp(`(?<![\\d.])${former.replaceAll('.', '\\.')}(?![\\d.])`, 'g')
    const renewed = (text: string) => text.replace(whole, version)
    const changed = [...args].filter(([, value]) => renewed(value) !== value)
    if (changed.length > 0) return { args: Object.fromEntries(changed.map(([name, value]) => [name, renewed(value)])) }
    // The address of a repository with what is checked out of it.
    if (/#.*/.test(context) && renewed(context) !== context) return { context: renewed(context) }
  }
  const text = await readFile(join(context, 'lib/mastodon/version.rb'), 'utf8').catch(() => '')
  return parseVersionRb(text)?.equals(MastodonVersion.of(version)) ? {} : undefined
}

function sameAgain({ service, part, version }: Wanted): RefusedError {
  const context = service.build?.context ?? '.'
  return new RefusedError({
    code: 'build-of-which-release',
    message: `${part.to} would be built, and nothing tells that it would be ${version}.`,
    cause: `No argument of the build of ${service.name} names the version, and ${context} does not hold that release.`,
    next: `Check it out (${shellLine(['git', '-C', context, 'checkout', `v${version}`])}), or build it yourself under that name: docker build -t ${part.to} …; then run the command again.`,
  })
}

function notBuilt(stack: Stack, { service, part }: Wanted, cause: string): RefusedError {
  return new RefusedError({
    code: 'image-not-built',
    message: `The image ${part.to} could not be built; what serves was not touched.`,
    cause,
    next: `See what is wrong with ${stack.project.byHand(['build', service.name])}`,
  })
}
