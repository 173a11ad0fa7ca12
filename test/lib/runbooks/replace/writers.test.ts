import { expect, test } from 'vitest'
import type { AppProcess, Formation, FormerProcess, Processes } from '../../../../src/lib/backends/backend.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { stopAllStep } from '../../../../src/lib/runbooks/replace/close.js'
import { mayHaveServed, startStep, stopStep } from '../../../../src/lib/runbooks/replace/writers.js'
import { stepContext } from '../../../support/step-context.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

/** Processes that are stopped by role and started by what ran before, as a backend does. */
function processesOf(list: AppProcess[]): Processes {
  const set = (state: AppProcess['state'], meant: (process: AppProcess) => boolean) => {
    for (const process of list) if (meant(process)) process.state = state
  }
  return {
    list: async () => list.map(process => ({ ...process })),
    restart: async () => undefined,
    stop: async roles => set('stopped', ({ role }) => roles.includes(role)),
    start: async (roles, former?: readonly FormerProcess[]) =>
      set('running', ({ role, id }) => roles.includes(role) && (former?.some(one => one.id === id) ?? true)),
  }
}

function contextWith(processes: Processes): StepContext {
  const toolbox = toolboxOf({})
  return stepContext({ ...toolbox, backend: { ...toolbox.backend, processes } })
}

const process = (role: AppProcess['role'], number: number, state: AppProcess['state']): AppProcess => ({
  ...{ role, name: role, id: `town-${role}-${number}`, state, health: 'none', startedAt: undefined },
})
const made = () => [
  process('web', 1, 'running'),
  process('web', 2, 'stopped'),
  process('sidekiq', 1, 'running'),
  process('streaming', 1, 'stopped'),
]

test.each(['start', 'undo'] as const)('what an operator had stopped is not started (%s)', async how => {
  const list = made()
  const context = contextWith(processesOf(list))
  const stop = stopStep(async () => undefined)
  await stop.run(context)
  expect(new Set(list.map(({ state }) => state))).toEqual(new Set(['stopped']))
  // As a resumed run does it, which must not take its own stops for the operator's.
  await stop.run(context)
  await (how === 'start' ? startStep().run(context) : stop.undo?.(context))
  expect(list).toEqual(made())
})

test('a Sidekiq that was made quiet is started anew on the way back, though it runs', async () => {
  const list = made()
  const context = contextWith(processesOf(list))
  const stop = stopStep(async () => {
    throw new Error('killed')
  })
  await expect(stop.run(context)).rejects.toThrow('killed')
  const calls: string[] = []
  const processes = processesOf(list)
  const stopping: Processes = {
    ...processes,
    stop: async roles => {
      calls.push(`stop ${roles.join()}`)
      await processes.stop(roles)
    },
  }
  Object.assign(context.toolbox.backend, { processes: stopping })
  await stop.undo?.(context)
  expect(calls).toEqual(['stop sidekiq'])
  expect(list).toEqual(made())
})

test('on a platform, too', async () => {
  const calls: string[] = []
  const now = new Map([
    ['web', 1],
    ['worker', 2],
  ])
  const formation: Formation = {
    sizes: async () => [...now].map(([name, quantity]) => ({ name, quantity, size: 'Basic' })),
    scale: async sizes => {
      for (const { name, quantity } of sizes) now.set(name, quantity)
      calls.push(sizes.map(({ name, quantity }) => `${name}=${quantity}`).join())
    },
  }
  const processes = { ...processesOf([{ ...process('sidekiq', 1, 'running'), name: 'worker' }]), formation }
  const context = contextWith(processes)
  const stop = stopAllStep(async () => {
    throw new Error('killed')
  })
  await expect(stop.run(context)).rejects.toThrow('killed')
  await stop.undo?.(context)
  expect(calls).toEqual(['web=0', 'worker=0', 'web=1,worker=2'])
})

test('what may have been served is noted before anything is started, for a start may fail when web serves already', async () => {
  const list = made()
  const processes = processesOf(list)
  const context = contextWith(processes)
  await stopStep(async () => undefined).run(context)
  const start = async () => {
    expect(mayHaveServed(context)).toBe(true)
    throw new Error('Sidekiq is unhealthy')
  }
  const failing = { ...context, toolbox: { ...context.toolbox, backend: { ...context.toolbox.backend } } }
  Object.assign(failing.toolbox.backend, { processes: { ...processes, start } })
  expect(mayHaveServed(context)).toBe(false)
  await expect(startStep().run(failing)).rejects.toThrow('Sidekiq is unhealthy')
  expect(mayHaveServed(context)).toBe(true)
})
