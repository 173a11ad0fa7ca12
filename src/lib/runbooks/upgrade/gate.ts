import { setTimeout as sleep } from 'node:timers/promises'
import { answerText, ask, askPublished, isAnswer } from '../../checks/http.js'
import { STREAMING_PUBLISHED } from '../../checks/streaming.js'
import { messageOf, RefusedError } from '../../errors.js'
import { INSTANCE_PATH, streamingHealthPath, webHealthPath } from '../../mastodon/health.js'
import { missingQueues } from '../../mastodon/queues.js'
import { MastodonVersion, parseVersionRb } from '../../mastodon/version.js'
import { processes as sidekiqs } from '../../redis/sidekiq.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { plural } from '../../text.js'
import { formerNoted } from '../replace/writers.js'
import type { UpgradeOptions } from './options.js'

/** Milliseconds in which everything has to be well after its start: Sidekiq's first heartbeat comes within 10 s. */
const PATIENCE_MS = 90_000
/** Where the platform starts the processes by itself: it gives web 60 s to listen, and tries again. */
const SLOW_START_MS = 240_000
const PAUSE_MS = 1_000
/** Seconds: a heartbeat comes every 5 to 10. */
const OLDEST_BEAT = 30

/** Returns what is not as it should be yet, in words; undefined when it is. */
type Probe = (context: StepContext, version: MastodonVersion) => Promise<string | undefined>

/** Looks whether the new release does its work: web from the database, streaming, and Sidekiq on every queue. */
export function gateStep(id: 'gate' | 'gate-again', { to }: Pick<UpgradeOptions, 'to'>): Step {
  const title = id === 'gate' ? `Look whether ${to} works: web, streaming, Sidekiq and its queues` : 'Look once more'
  return lookingStep(id, title, to, [running, installed, web, streaming, sidekiq])
}

/** Looks at what can be seen while visitors get the maintenance page. */
export function gateBehindStep({ to }: Pick<UpgradeOptions, 'to'>): Step {
  const title = `Look whether ${to} works as far as it is seen from behind: processes, Sidekiq and its queues`
  return lookingStep('gate', title, to, [running, installed, sidekiq], SLOW_START_MS)
}

/** Looks as a visitor. */
export function gateInFrontStep({ to }: Pick<UpgradeOptions, 'to'>): Step {
  return lookingStep('gate-again', `Look whether ${to} answers visitors`, to, [web, streaming])
}

function lookingStep(
  id: 'gate' | 'gate-again',
  title: string,
  to: string,
  probes: readonly Probe[],
  patienceMs = PATIENCE_MS,
): Step {
  const run = async (context: StepContext) => {
    if (context.dryRun) return
    await untilWell(context, MastodonVersion.of(to), { probes, patienceMs })
    if (id === 'gate-again') await tellStreamingElsewhere(context, MastodonVersion.of(to))
  }
  return { id, title, effect: 'read', run }
}

async function untilWell(
  context: StepContext,
  version: MastodonVersion,
  { probes, patienceMs }: { probes: readonly Probe[]; patienceMs: number },
): Promise<void> {
  const deadline = Date.now() + patienceMs
  for (const probe of probes) {
    for (;;) {
      const problem = await probe(context, version).catch(messageOf)
      if (problem === undefined) break
      if (Date.now() > deadline) throw notWell(version, problem)
      context.progress(problem)
      await sleep(PAUSE_MS)
    }
  }
}

const running: Probe = async context => {
  const list = (await context.toolbox.backend.processes?.list()) ?? []
  const wanted = formerNoted(context)
  for (const { name, role } of wanted) {
    const found = list.filter(process => process.name === name && process.role === role && process.state === 'running')
    if (found.length < wanted.filter(one => one.name === name).length) return `Not all of ${name} run.`
    const ill = found.find(({ health }) => health === 'unhealthy' || health === 'starting')
    if (ill) return `${ill.id} is ${ill.health}.`
  }
  return undefined
}

/** The image's tag may lie; the app's own file does not. */
const installed: Probe = async ({ toolbox }, version) => {
  const file = await toolbox.app.oneOff().run({ argv: ['cat', 'lib/mastodon/version.rb'], effect: 'read' })
  const found = parseVersionRb(file.stdout)
  if (found?.release.equals(version.release)) return undefined
  return `The app calls itself ${found ?? 'nothing that could be read'}, and not ${version}.`
}

const web: Probe = async (context, version) => {
  if (!ran(context, 'web')) return undefined
  for (const path of new Set([webHealthPath(version), INSTANCE_PATH])) {
    const code = await ask(context.toolbox, { host: '127.0.0.1', port: 3000, path })
    if (!isAnswer(code)) return `Web answers ${path} with ${code}.`
  }
  return undefined
}

const streaming: Probe = async (context, version) => {
  const path = streamingHealthPath(version)
  const name = formerNoted(context).find(({ role }) => role === 'streaming')?.name
  if (path === undefined || name === undefined) return undefined
  const at = { host: name, port: 4000, path, publishedIn: STREAMING_PUBLISHED }
  const code = await ask(context.toolbox, at)
  return code === '200' ? undefined : `Streaming answers ${path} with ${code}.`
}

/** What runs on another host is its operator's to change: it is looked at, and holds nothing up. */
async function tellStreamingElsewhere(context: StepContext, version: MastodonVersion): Promise<void> {
  const { toolbox } = context
  const path = streamingHealthPath(version)
  if (path === undefined || ran(context, 'streaming')) return
  const asked = await askPublished(toolbox, { publishedIn: STREAMING_PUBLISHED, path })
  if (asked === undefined) return
  const { host, code } = asked
  const said =
    code === '200' ? `Streaming at ${host} answers.` : answerText('streaming', `https://${host}${path}`, code)
  toolbox.output.warn(`${said} It is none of this instance's processes: deploy the streaming of ${version} there too.`)
}

/** By processes that were not there before: those that were killed are known to Redis for another minute. */
const sidekiq: Probe = async (context, version) => {
  if (context.toolbox.backend.redis === undefined) return undefined
  const wanted = formerNoted(context).filter(({ role }) => role === 'sidekiq').length
  const before = JSON.parse(context.noted('sidekiq-before') ?? '[]') as string[]
  const alive = (await sidekiqs(await context.toolbox.redis('sidekiq'))).filter(
    ({ identity, quiet, beatAge = Number.POSITIVE_INFINITY }) =>
      !before.includes(identity) && !quiet && beatAge < OLDEST_BEAT,
  )
  if (alive.length < wanted)
    return `${alive.length} of ${plural(wanted, 'Sidekiq process', 'Sidekiq processes')} sent a heartbeat.`
  if (wanted === 0) return undefined
  const deaf = missingQueues(
    version,
    alive.flatMap(({ queues }) => queues),
  ).map(({ name }) => name)
  return deaf.length === 0
    ? undefined
    : `Nobody listens to ${deaf.join(', ')}: add -q ${deaf.join(' -q ')} to a Sidekiq service.`
}

function ran(context: StepContext, role: string): boolean {
  return formerNoted(context).some(process => process.role === role)
}

function notWell(version: MastodonVersion, problem: string): RefusedError {
  return new RefusedError({
    code: 'release-not-well',
    message: `${version} was started, and does not work as it should.`,
    cause: problem,
    next: 'mstdn-ops logs -n 100, and mstdn-ops doctor',
  })
}
