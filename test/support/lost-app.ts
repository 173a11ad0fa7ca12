import type { AppCommand, AppOutcome, OneOff } from '../../src/lib/backends/backend.js'
import { OutcomeUnknownError, RefusedError } from '../../src/lib/errors.js'
import { MastodonApp } from '../../src/lib/mastodon/app.js'
import type { Toolbox } from '../../src/lib/toolbox.js'

/**
 * What came of a command whose end nobody saw. `late`: it does its work after that. `away`: it did its work, and
 * afterwards nothing can be looked at.
 */
export type Fate = 'done' | 'late' | 'half' | 'nothing' | 'away'

export interface LostApp {
  fate: Fate
  /** What the app's commands do, as SQL: half of it is its first statement. */
  effect: readonly string[]
  /** What `ls db/migrate db/post_migrate` prints. */
  files?: string
}

/** Returns the toolbox with an app whose changing commands lose the connection at their end. */
export function withLostApp(toolbox: Toolbox, { fate, effect, files = '' }: LostApp): Toolbox {
  let away = false
  const database = async () => {
    if (away) throw new RefusedError({ code: 'away', message: 'The server is away.' })
    return toolbox.database()
  }
  const write = async (statements: readonly string[]) => {
    for (const sql of statements) await (await toolbox.database()).write(sql)
  }
  const oneOff = lostOneOff(files, async () => {
    if (fate === 'late') setTimeout(() => void write(effect), 100)
    if (fate === 'half') await write(effect.slice(0, 1))
    if (fate === 'done' || fate === 'away') await write(effect)
    away = fate === 'away'
  })
  const backend = { ...toolbox.backend, oneOff }
  const { instance, output } = toolbox
  return { ...toolbox, backend, database, app: new MastodonApp({ instance, backend, database, output }) }
}

/** Reads are answered. A process that is asked for by its key and is no more lets another run in its place. */
function lostOneOff(files: string, act: () => Promise<void>): OneOff {
  return {
    byHand: command => command.argv.join(' '),
    interactive: async () => 0,
    untilOver: async () => undefined,
    run: async ({ argv, effect, longKey }: AppCommand): Promise<AppOutcome> => {
      if (argv[0] === 'ls') return ended(files)
      if (effect === 'read') return { ...ended(''), exitCode: 1 }
      if (longKey !== undefined && argv[0] === 'echo') return ended(argv.slice(1).join(' '))
      await act()
      throw new OutcomeUnknownError({ code: 'end-not-seen', message: 'The connection was lost.', next: 'Look.' })
    },
  }
}

function ended(stdout: string): AppOutcome {
  return { stdout, stderr: '', exitCode: 0, planned: false }
}
