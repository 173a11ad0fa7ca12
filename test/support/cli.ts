import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(root, 'bin/run.js')

export interface CliResult {
  stdout: string
  stderr: string
  exitCode: number
}

/** Runs the built tool as an operator would, off a terminal, with nothing of this machine's configuration in force. */
export function cli(
  words: readonly string[],
  options: {
    env?: NodeJS.ProcessEnv
    cwd?: string
    stdin?: string
    nodeOptions?: readonly string[]
    timeoutMs?: number
  } = {},
): Promise<CliResult> {
  const home = mkdtempSync(join(tmpdir(), 'mstdn-ops-home-'))
  const env = {
    ...cleanEnvironment(),
    XDG_STATE_HOME: join(home, 'state'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_DATA_HOME: join(home, 'data'),
    // No test asks the project's own server for newer releases.
    UPDATE_CHECK_URL: '',
    ...options.env,
  }
  return new Promise(resolve => {
    const child = execFile(
      process.execPath,
      [...(options.nodeOptions ?? []), bin, ...words],
      {
        cwd: options.cwd ?? home,
        env,
        maxBuffer: 64 * 1024 * 1024,
        timeout: options.timeoutMs ?? 120_000,
        killSignal: 'SIGKILL',
      },
      (error, stdout, stderr) => {
        rmSync(home, { recursive: true, force: true })
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ stdout, stderr, exitCode: code })
      },
    )
    child.stdin?.end(options.stdin ?? '')
  })
}

/** The environment without the variables that would choose an instance. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(MSTDN_OPS_|COMPOSE_|DOCKER_|NODE_EXTRA_CA_CERTS|VITEST|NODE_OPTIONS)/.test(name),
  )
  return Object.fromEntries(kept)
}
