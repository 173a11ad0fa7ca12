import { RefusedError } from '../../errors.js'
import { assetFolders } from '../../mastodon/releases.js'
import type { Runbook, Settled, Step, StepContext } from '../../runbook/step.js'
import { humanBytes } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { refuseLostFiles } from '../content/lost-files.js'
import { operationFailed } from '../content/outcome.js'
import { MEMORY_NEEDED, MEMORY_SCRIPT, memoryIn } from './memory.js'
import { isKept, readAppFiles } from './mounts.js'

export interface PrecompileOptions {
  /** Start although the memory does not suffice. */
  ignoreMemory: boolean
}

export interface PrecompileResult {
  /** The lists of compiled files that were found afterwards, relative to the app's root. */
  manifests: string[]
}

const TITLE = 'Compile the assets'

/**
 * Compiles the assets in a process of its own, where what it writes is kept; elsewhere it would be thrown away with the
 * container, and is refused.
 */
export const precompile: Runbook<PrecompileOptions, PrecompileResult> = {
  name: 'assets:precompile',
  check: async (toolbox, { ignoreMemory }) => {
    refuseLostFiles(toolbox, 'The compiled assets would be lost.')
    await toolbox.app.command('assets.precompile', {})
    await refuseLost(toolbox)
    if (!ignoreMemory) await refuseLittleMemory(toolbox)
  },
  steps: async () => [precompileStep()],
  result: async toolbox => ({ manifests: await findManifests(toolbox) }),
}

function precompileStep(): Step {
  return { id: 'precompile', title: TITLE, effect: 'write', repeatable: true, run: compile, settle }
}

/** The compiling process carries a key: where it still runs, or its end can still be read, that tells. */
async function settle(context: StepContext): Promise<Settled> {
  const { toolbox } = context
  if (context.noted('ended') === 'yes') return 'unknown'
  return (await toolbox.app.found('assets.precompile', {}, longKey(context))) === 'done' ? 'done' : 'unknown'
}

function longKey({ runId }: StepContext): string {
  return `${runId}-precompile`
}

async function compile(context: StepContext): Promise<void> {
  const { toolbox } = context
  const outcome = await toolbox.app.run(
    'assets.precompile',
    {},
    { effect: 'write', longKey: longKey(context), onLine: line => context.progress(line) },
  )
  await context.note('ended', 'yes')
  if (context.dryRun) return
  if (outcome.verdict !== 'done') throw operationFailed(TITLE, outcome)
  const found = await findManifests(toolbox)
  const missing = (await folders(toolbox)).filter(folder => !found.some(file => file.startsWith(`${folder}/`)))
  if (missing.length === 0) return
  throw new RefusedError({
    code: 'not-compiled',
    message: `After compiling there is no list of compiled files in ${missing.join(', ')}.`,
    next: 'mstdn-ops run -- ls -la public/packs public/assets',
  })
}

async function folders(toolbox: Toolbox): Promise<readonly string[]> {
  return assetFolders(await toolbox.app.version())
}

/** Before compiling they are those that were deployed. */
async function findManifests(toolbox: Toolbox, source: { ofRelease?: boolean } = {}): Promise<string[]> {
  const patterns = 'public/assets/.*manifest*.json public/assets/*manifest*.json public/packs/*manifest*.json'
  const script = `for f in ${patterns} public/packs/.vite/*manifest*.json; do if [ -f "$f" ]; then echo "$f"; fi; done`
  const { stdout } = await toolbox.app.oneOff().run({ argv: ['sh', '-c', script], effect: 'read', ...source })
  return [...new Set(stdout.split('\n').filter(Boolean))]
}

async function refuseLost(toolbox: Toolbox): Promise<void> {
  const { root, mounts } = await readAppFiles(toolbox)
  const lost = (await folders(toolbox)).filter(folder => !isKept(`${root}/${folder}`, mounts))
  if (lost.length === 0) return
  const shipped = (await findManifests(toolbox, { ofRelease: true })).length > 0
  throw new RefusedError({
    code: 'assets-not-kept',
    message: shipped
      ? 'The image brings its compiled assets along: there is nothing to compile here.'
      : 'The compiled assets would be lost: they would be written into a container that is thrown away.',
    cause: `${lost.join(' and ')} ${lost.length === 1 ? 'is' : 'are'} inside of the image, not on a mount of ${lost.length === 1 ? 'its' : 'their'} own.`,
    next: shipped
      ? 'To change them, build an image of your own and name it in the compose file.'
      : 'Build the image with its assets, or mount public/assets and public/packs in the compose file.',
  })
}

async function refuseLittleMemory(toolbox: Toolbox): Promise<void> {
  const { stdout } = await toolbox.app.oneOff().run({ argv: ['sh', '-c', MEMORY_SCRIPT], effect: 'read' })
  const memory = memoryIn(stdout)
  if (memory === undefined || memory >= MEMORY_NEEDED) return
  throw new RefusedError({
    code: 'memory-too-small',
    message: `Compiling assets needs ${humanBytes(MEMORY_NEEDED)} of RAM and swap; there are ${humanBytes(memory)}.`,
    cause: 'With less it is killed in the middle, after many minutes.',
    next: 'Add swap on the host, or try nevertheless with --ignore-memory.',
  })
}
