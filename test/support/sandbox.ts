import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox } from '../../src/lib/backends/direct/sandbox/server.js'
import { Ledger } from '../../src/lib/ledger.js'
import { openToolbox } from '../../src/lib/open-toolbox.js'
import { Output } from '../../src/lib/output.js'
import { Runner } from '../../src/lib/runner.js'
import type { Toolbox } from '../../src/lib/toolbox.js'

/** A sandbox of its own for one test file, with a state folder of its own. */
export interface TestSandbox {
  /** Holds the sandbox and the state folders of the tests. */
  dir: string
  /** Variables that make any command work on this sandbox, with a new and empty state folder. */
  env(): NodeJS.ProcessEnv
  toolbox(parts?: { dryRun?: boolean }): Promise<Toolbox>
  stop(): Promise<void>
}

/** Starts a sandbox; it is yours to stop. From then on this process works on it as well. */
export async function testSandbox(options: { release?: string; statuses?: number } = {}): Promise<TestSandbox> {
  const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-sandbox-'))
  const runner = new Runner({ output: new Output({ quiet: true }), ledger: new Ledger() })
  const size = { statuses: options.statuses ?? 50, remoteAccounts: 10 }
  const sandbox = await startSandbox({ dir: join(dir, 'sandbox'), runner, size, release: options.release })
  const base = {
    MSTDN_OPS_SANDBOX_DIR: join(dir, 'sandbox'),
    XDG_CONFIG_HOME: join(dir, 'config'),
    XDG_DATA_HOME: join(dir, 'data'),
  }
  Object.assign(process.env, base, { XDG_STATE_HOME: join(dir, 'state') })
  // It is the tests' own, and the tool refuses variables that it does not know.
  delete process.env.MSTDN_TEST_FULL
  let states = 0
  return {
    dir,
    env: () => ({ ...process.env, ...base, XDG_STATE_HOME: join(dir, `state-${states++}`) }),
    toolbox: (parts = {}) =>
      openToolbox({ backend: 'sandbox' }, { output: new Output({ quiet: true }), dryRun: parts.dryRun ?? false }),
    stop: async () => {
      await sandbox.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
