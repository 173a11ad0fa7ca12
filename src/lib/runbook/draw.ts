import type { ListrTask, ListrTaskWrapper } from 'listr2'
import type { Output } from '../output.js'

/** Shows the steps of a run as they go. */
export interface Drawing {
  start(id: string): void
  progress(id: string, text: string): void
  done(id: string): void
  skip(id: string, reason: string): void
  fail(id: string, message: string): void
  /** Ends the drawing; steps that were never reached are left out. */
  end(): Promise<void>
}

interface Titled {
  id: string
  title: string
}

/** Returns a live list on a terminal, one plain line per step elsewhere. */
export async function draw(output: Output, heading: string, steps: readonly Titled[]): Promise<Drawing> {
  return output.drawn ? drawList(output, heading, steps) : drawLines(output, heading, steps)
}

function drawLines(output: Output, heading: string, steps: readonly Titled[]): Drawing {
  const title = (id: string) => steps.find(step => step.id === id)?.title ?? id
  return {
    start: id => output.info(`${heading}: ${title(id)} …`),
    progress: (_id, text) => output.info(`  ${text}`),
    done: id => output.info(`${heading}: ${title(id)}: done`),
    skip: (id, reason) => output.info(`${heading}: ${title(id)}: ${reason}`),
    fail: (id, message) => output.error(`${heading}: ${title(id)}: FAILED: ${message}`),
    end: async () => undefined,
  }
}

type Wrapper = ListrTaskWrapper<unknown, never, never>

/** listr2 only draws: each of its tasks waits until the run loop says how the step went. */
async function drawList(output: Output, heading: string, steps: readonly Titled[]): Promise<Drawing> {
  const { Listr } = await import('listr2')
  output.info(`${heading}:`)
  const rows = steps.map(step => ({
    step,
    gate: gate<'done' | { skip: string } | { fail: string }>(),
    task: undefined as Wrapper | undefined,
  }))
  const tasks = rows.map(
    (row): ListrTask => ({
      title: output.clean(row.step.title),
      task: async (_, task) => {
        row.task = task as unknown as Wrapper
        const outcome = await row.gate.opened
        if (outcome === 'done') return
        if ('skip' in outcome) return void task.skip(output.clean(`${row.step.title}: ${outcome.skip}`))
        throw new Error(output.clean(outcome.fail))
      },
      rendererOptions: { outputBar: 1 },
    }),
  )
  const list = new Listr(tasks, {
    registerSignalListeners: false,
    exitOnError: true,
    rendererOptions: { collapseErrors: false },
  })
  const ended = list.run().catch(() => undefined)
  const row = (id: string) => rows.find(candidate => candidate.step.id === id)
  return {
    start: () => undefined,
    progress: (id, text) => {
      const task = row(id)?.task
      if (task) task.output = output.clean(text)
    },
    done: id => row(id)?.gate.open('done'),
    skip: (id, reason) => row(id)?.gate.open({ skip: reason }),
    fail: (id, message) => row(id)?.gate.open({ fail: message }),
    end: async () => {
      for (const open of rows) open.gate.open({ skip: 'not reached' })
      await ended
    },
  }
}

function gate<T>() {
  let open: (value: T) => void = () => undefined
  const opened = new Promise<T>(resolve => {
    open = resolve
  })
  return { opened, open }
}
