import type { Maintenance } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'

export interface MaintenanceResult {
  /** Whether visitors see the maintenance page now. */
  on: boolean
  /** False where it was so already. */
  changed: boolean
}

/** Shows visitors the maintenance page instead of Mastodon. */
export const maintenanceOn = maintenanceRunbook(true)
/** Lets visitors reach Mastodon again. */
export const maintenanceOff = maintenanceRunbook(false)

function maintenanceRunbook(on: boolean): Runbook<object, MaintenanceResult> {
  return {
    name: `maintenance:${word(on)}`,
    check: async toolbox => {
      maintenanceOf(toolbox)
    },
    steps: async () => [switchStep(on)],
    result: async (toolbox, _options, noted) => ({
      on: await maintenanceOf(toolbox).isOn(),
      changed: noted('former') !== undefined,
    }),
  }
}

function switchStep(on: boolean): Step {
  const isSo = async ({ toolbox }: StepContext) => (await maintenanceOf(toolbox).isOn()) === on
  return {
    id: 'switch',
    title: `Turn the maintenance mode ${word(on)}`,
    effect: 'write',
    needed: async context => ((await isSo(context)) ? `it is ${word(on)} already` : true),
    done: isSo,
    run: context => switchTo(context, on),
    undo: putBack,
  }
}

async function switchTo(context: StepContext, on: boolean): Promise<void> {
  const maintenance = maintenanceOf(context.toolbox)
  await context.note('former', word(!on))
  await maintenance.set(on)
  if (context.dryRun || (await maintenance.isOn()) === on) return
  throw new RefusedError({
    code: 'maintenance-not-switched',
    message: `The maintenance mode is not ${word(on)}, though it was turned ${word(on)}.`,
    next: 'Run the command again.',
  })
}

async function putBack({ toolbox, noted }: StepContext): Promise<void> {
  const former = noted('former')
  const maintenance = maintenanceOf(toolbox)
  if (former !== undefined && (await maintenance.isOn()) !== (former === 'on')) await maintenance.set(former === 'on')
}

function maintenanceOf({ backend }: Toolbox): Maintenance {
  if (backend.maintenance) return backend.maintenance
  const next = 'Let the proxy in front of Mastodon answer with a page of your own.'
  throw lacks(backend, 'maintenance', 'maintenance mode', next)
}

function word(on: boolean): 'on' | 'off' {
  return on ? 'on' : 'off'
}
