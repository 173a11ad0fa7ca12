import type { Formation, ProcessSize, Role } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import type { Amount } from './amounts.js'

export interface ScaleOptions {
  amounts: readonly Amount[]
}

export interface ScaleResult {
  /** Every process type, as it is now. */
  sizes: ProcessSize[]
  changed: boolean
  /** What no longer works because none of its processes is left, in sentences. */
  stops: string[]
}

/** Changes how many processes of a type run. */
export const scale: Runbook<ScaleOptions, ScaleResult> = {
  name: 'scale',
  check: refuseUnknown,
  steps: async (_toolbox, { amounts }) => [scaleStep(amounts)],
  result: async (toolbox, _options, noted) => ({
    sizes: await formationOf(toolbox).sizes(),
    changed: noted('former') !== undefined,
    stops: JSON.parse(noted('stops') ?? '[]') as string[],
  }),
}

async function refuseUnknown(toolbox: Toolbox, { amounts }: ScaleOptions): Promise<void> {
  const here = (await formationOf(toolbox).sizes()).map(({ name }) => name)
  const unknown = amounts.filter(({ name }) => !here.includes(name)).map(({ name }) => name)
  if (unknown.length === 0) return
  throw new RefusedError({
    code: 'unknown-process-type',
    message: `There is no process type ${unknown.map(name => `"${name}"`).join(', ')}.`,
    cause: here.length === 0 ? 'There are none at all: nothing is deployed.' : `There are: ${here.join(', ')}.`,
    next: 'mstdn-ops scale (shows what runs)',
  })
}

function scaleStep(amounts: readonly Amount[]): Step {
  const isSo = async ({ toolbox }: StepContext) => isScaled(await formationOf(toolbox).sizes(), amounts)
  return {
    id: 'scale',
    title: `Run ${amounts.map(({ name, quantity }) => `${name}=${quantity}`).join(', ')}`,
    effect: 'write',
    needed: async context => ((await isSo(context)) ? 'as many run already' : true),
    done: isSo,
    run: context => change(context, amounts),
    undo: putBack,
  }
}

async function change(context: StepContext, amounts: readonly Amount[]): Promise<void> {
  const formation = formationOf(context.toolbox)
  const stops = await stoppedBy(context.toolbox, amounts)
  await context.note('stops', JSON.stringify(stops))
  for (const stop of stops) context.toolbox.output.warn(stop)
  if (context.noted('former') === undefined) await context.note('former', await formerly(formation, amounts))
  await formation.scale(amounts)
  if (context.dryRun || isScaled(await formation.sizes(), amounts)) return
  throw new RefusedError({
    code: 'not-scaled',
    message: `There are other amounts than asked for: ${sizesText(await formation.sizes())}.`,
    next: 'Run the command again.',
  })
}

/** Returns the present amounts of the types in question, as a note. */
async function formerly(formation: Formation, amounts: readonly Amount[]): Promise<string> {
  const sizes = await formation.sizes()
  const former = sizes.filter(({ name }) => amounts.some(amount => amount.name === name))
  return JSON.stringify(former.map(({ name, quantity }) => ({ name, quantity })))
}

async function putBack({ toolbox, noted }: StepContext): Promise<void> {
  const former = JSON.parse(noted('former') ?? '[]') as Amount[]
  const formation = formationOf(toolbox)
  if (!isScaled(await formation.sizes(), former)) await formation.scale(former)
}

function isScaled(sizes: readonly ProcessSize[], amounts: readonly Amount[]): boolean {
  return amounts.every(({ name, quantity }) => sizes.find(size => size.name === name)?.quantity === quantity)
}

const STOPS: Readonly<Record<Role, string>> = {
  web: 'nobody reaches the site',
  sidekiq: 'no post is delivered, no mail is sent, and what other servers send waits',
  streaming: 'pages are not updated by themselves',
}

/** Returns what stops where a type that runs is to run no more. */
async function stoppedBy({ backend }: Toolbox, amounts: readonly Amount[]): Promise<string[]> {
  const processes = (await backend.processes?.list()) ?? []
  const ended = amounts.filter(({ quantity }) => quantity === 0)
  return ended.flatMap(({ name }) => {
    const role = processes.find(process => process.name === name)?.role
    return role === undefined ? [] : [`Without ${name}, ${STOPS[role]}. To start it: mstdn-ops scale ${name}=1`]
  })
}

/** Returns the facet. @throws RefusedError where the number of processes is not the backend's to say. */
export function formationOf({ backend }: Toolbox): Formation {
  const { processes } = backend
  if (processes === undefined)
    throw lacks(backend, 'processes', 'processes to scale', 'Start and stop them where they run.')
  if (processes.formation) return processes.formation
  throw new RefusedError({
    code: 'no-formation',
    message: `The number of processes cannot be changed from here: ${backend.title}.`,
    cause: 'It stands in files.',
    next: 'Set it there, for good (compose: deploy.replicas) or until it is changed: docker compose up -d --no-deps --scale SERVICE=N',
  })
}

/** Returns the formation in one line, like `web=1 Basic, worker=2 Basic`. */
export function sizesText(sizes: readonly ProcessSize[]): string {
  return sizes.map(({ name, quantity, size }) => `${name}=${quantity} ${size}`).join(', ') || 'none'
}
