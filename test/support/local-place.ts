import type { ScriptPlace } from '../../src/lib/backends/backend.js'
import { leashed, toolRun } from '../../src/lib/backends/tool-run.js'
import { Ledger } from '../../src/lib/ledger.js'
import { Output } from '../../src/lib/output.js'
import { Runner } from '../../src/lib/runner.js'

/** Returns a place where scripts run on this machine, on the same leash as inside of a container. */
export function localPlace(): ScriptPlace {
  const runner = new Runner({ output: new Output({ quiet: true }), ledger: new Ledger() })
  return {
    where: 'this machine',
    open: async script => {
      const [file = 'sh', ...args] = leashed(script, 'nonce')
      return toolRun(await runner.open({ file, args, effect: script.effect }), 'nonce', script)
    },
  }
}
