import { expect, test } from 'vitest'
import type { Built, ReleaseBuild } from '../../../../src/lib/backends/release-build.js'
import { runsDir } from '../../../../src/lib/paths.js'
import { Journal, type RunEnd } from '../../../../src/lib/runbook/journal.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { startAllStep } from '../../../../src/lib/runbooks/replace/close.js'
import { closeStep, codeStep, lookStep, stopStep } from '../../../../src/lib/runbooks/upgrade/back/deployed/steps.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const FORMER: Built = { id: 'former', label: 'v12', slug: 'the former code', commit: undefined }
const NEWER: Built = { id: 'newer', label: 'v15', slug: 'the newer code', commit: 'a' }
const OPTIONS = { of: '1', from: '4.3.8', to: '4.2.9', former: FORMER, commit: 'a', drainSeconds: 1 }

ownState()

/** An app: code and variables that are in force, sizes, and whether visitors are sent away. */
class App {
  code = NEWER
  vars = 'of now'
  sizes: Record<string, number>
  closed: boolean
  /** The next way back is killed before the variables are put back. */
  dies = false
  readonly #kept = new Map<string, string>()

  constructor(sizes: Record<string, number> = { web: 2, worker: 1 }, closed = false) {
    this.sizes = sizes
    this.closed = closed
  }

  looks() {
    return { code: this.code.label, vars: this.vars, sizes: this.sizes, closed: this.closed }
  }

  /** As the platform: its way back takes the variables of then along. */
  async goBack(to: Built, key: string): Promise<void> {
    if (this.code !== to && this.code.slug !== to.slug) {
      this.#kept.set(key, this.#kept.get(key) ?? this.vars)
      this.code = to
      this.vars = `of ${to.label}`
      if (this.dies) throw new Error('killed')
    }
    this.vars = this.#kept.get(key) ?? this.vars
    this.#kept.delete(key)
  }
}

/** A run over this app. */
function running(app: App): StepContext {
  const build: Partial<ReleaseBuild> = {
    inForce: async () => app.code,
    untilOver: async () => undefined,
    goBack: (to, key) => app.goBack(to, key),
  }
  const toolbox = toolboxOf({
    ...{ version: '4.3.8', processes: [], oneOff: {}, database: { query: async () => [] } },
    releases: { current: async () => undefined, build: build as ReleaseBuild },
    formation: {
      sizes: async () => Object.entries(app.sizes).map(([name, quantity]) => ({ name, quantity, size: 'basic' })),
      scale: async amounts => {
        app.sizes = { ...app.sizes, ...Object.fromEntries(amounts.map(({ name, quantity }) => [name, quantity])) }
      },
    },
    maintenance: {
      isOn: async () => app.closed,
      set: async on => {
        app.closed = on
      },
    },
  })
  const notes = new Map<string, string>()
  return {
    ...{ toolbox, runId: '2', dryRun: false, stop: new AbortController().signal },
    note: async (key, value) => void notes.set(key, value),
    noted: key => notes.get(key),
    reveal: () => undefined,
    progress: () => undefined,
    lockAgain: async () => undefined,
  }
}

test('the code goes back and forth with the variables of now, as often as it is asked to', async () => {
  const [app, step] = [new App(), codeStep(OPTIONS)]
  const context = running(app)
  for (const _ of [1, 2]) await step.run(context)
  expect(app.looks()).toMatchObject({ code: 'v12', vars: 'of now' })
  for (const _ of [1, 2]) await step.undo?.(context)
  expect(app.looks()).toMatchObject({ code: 'v15', vars: 'of now' })
})

test.each(['run', 'undo'] as const)(
  'killed while the variables are those of then: %s keeps those of now',
  async way => {
    const [app, step] = [new App(), codeStep(OPTIONS)]
    const context = running(app)
    app.dies = true
    await expect(step.run(context)).rejects.toThrow('killed')
    expect(app.vars).toBe('of v12')
    app.dies = false
    await step[way]?.(context)
    expect(app.looks()).toMatchObject({ code: way === 'run' ? 'v12' : 'v15', vars: 'of now' })
  },
)

test('killed on the way forward again, the next undo keeps the variables of now as well', async () => {
  const [app, step] = [new App(), codeStep(OPTIONS)]
  const context = running(app)
  await step.run(context)
  app.dies = true
  await expect(step.undo?.(context)).rejects.toThrow('killed')
  app.dies = false
  await step.undo?.(context)
  expect(app.looks()).toMatchObject({ code: 'v15', vars: 'of now' })
})

test('what runs is stopped and started again, also where the run goes back', async () => {
  await upgradeThat('done')
  const app = new App()
  const former = app.looks()
  const context = running(app)
  for (const step of [lookStep(OPTIONS), closeStep(), stopStep(OPTIONS)]) await step.run(context)
  expect(app.looks()).toMatchObject({ sizes: { web: 0, worker: 0 }, closed: true })
  for (const step of [stopStep(OPTIONS), closeStep()]) await step.undo?.(context)
  expect(app.looks()).toEqual(former)
})

test('after an upgrade that was abandoned what ran before it is started; where the run goes back, nothing is', async () => {
  await upgradeThat('abandoned')
  const app = new App({ web: 0, worker: 0 }, true)
  const former = app.looks()
  const context = running(app)
  for (const step of [lookStep(OPTIONS), closeStep(), stopStep(OPTIONS), startAllStep()]) await step.run(context)
  expect(app.sizes).toEqual({ web: 2, worker: 1 })
  expect(context.noted('was-closed')).toBe('no')
  for (const step of [startAllStep(), stopStep(OPTIONS), closeStep()]) await step.undo?.(context)
  expect(app.looks()).toEqual(former)
})

async function upgradeThat(end: RunEnd): Promise<void> {
  const header = { runId: '1', runbook: 'upgrade:deploy', options: {}, instance: 'made', title: 'made' }
  const rest = { toolVersion: '0', stepIds: [], at: '2026-01-01T00:00:00Z' }
  const journal = await Journal.create(runsDir('made'), { ...header, ...rest })
  const sizes = [
    { name: 'web', quantity: 2 },
    { name: 'worker', quantity: 1 },
  ]
  await journal.note('sizes', JSON.stringify(sizes))
  await journal.note('was-closed', 'no')
  await journal.end(end, 0)
  await journal.close()
}
