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

/** The heading of the list of steps that are taken back. */
export const UNDO = 'Undo'

interface Titled {
  id: string
  title: string
}

/** Returns a live list on a terminal, one plain line per step elsewhere. */
export async function draw(output: Output, heading: string, steps: readonly Titled[]): Promise<Drawing> {
  return output.drawn ? drawList(output, heading, steps) : drawLines(heading, steps, linesOf(output))
}

interface Lines {
  say(text: string): void
  complain(text: string): void
}

function linesOf(output: Output): Lines {
  return { say: text => output.info(text), complain: text => output.error(text) }
}

/** Beside a live list the lines go into the log of the run, and to the terminal only at the level `debug`. */
function logOf(output: Output): Lines {
  return { say: text => output.debug(text), complain: text => output.debug(text) }
}

function drawLines(heading: string, steps: readonly Titled[], { say, complain }: Lines): Drawing {
  const title = (id: string) => steps.find(step => step.id === id)?.title ?? id
  const isNews = newsOf()
  return {
    start: id => say(`${heading}: ${title(id)} …`),
    progress: (id, text) => {
      if (isNews(`${id} ${text}`)) say(`  ${text}`)
    },
    done: id => say(`${heading}: ${title(id)}: done`),
    skip: (id, reason) => say(`${heading}: ${title(id)}: ${reason}`),
    fail: (id, message) => complain(`${heading}: ${title(id)}: FAILED: ${message}`),
    end: async () => undefined,
  }
}

/** Milliseconds after which a counter is told again. */
const COUNTED_EVERY_MS = 5_000

/** Tells whether a line is worth telling: one that differs from the last by its numbers alone only counts on. */
function newsOf(): (text: string) => boolean {
  let told = { text: '', words: '', at: 0 }
  return text => {
    const words = text.replaceAll(/\d+/g, '#')
    const counts = words === told.words && Date.now() - told.at < COUNTED_EVERY_MS
    if (counts || text === told.text) return false
    told = { text, words, at: Date.now() }
    return true
  }
}

type Wrapper = ListrTaskWrapper<unknown, never, never>

/** listr2 only draws: each of its tasks waits until the run loop says how the step went. */
async function drawList(output: Output, heading: string, steps: readonly Titled[]): Promise<Drawing> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2')
  const log = drawLines(heading, steps, logOf(output))
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
  // Left to itself it would draw on stdout, which is the result's.
  const processOutput = new ProcessOutput(process.stderr, process.stderr, { leaveEmptyLine: false })
  const rendererOptions = { collapseErrors: false, logger: new ListrLogger({ useIcons: true, processOutput }) }
  const list = new Listr(tasks, {
    registerSignalListeners: false,
    // An undo that fails does not end the undoing.
    exitOnError: heading !== UNDO,
    renderer: 'default',
    rendererOptions,
    fallbackRenderer: 'default',
    fallbackRendererOptions: rendererOptions,
  })
  const ended = list.run().catch(() => undefined)
  const row = (id: string) => rows.find(candidate => candidate.step.id === id)
  return {
    start: log.start,
    progress: (id, text) => {
      log.progress(id, text)
      const task = row(id)?.task
      if (task) task.output = output.clean(text)
    },
    done: id => {
      log.done(id)
      row(id)?.gate.open('done')
    },
    skip: (id, reason) => {
      log.skip(id, reason)
      row(id)?.gate.open({ skip: reason })
    },
    fail: (id, message) => {
      log.fail(id, message)
      row(id)?.gate.open({ fail: message })
    },
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
