import { basename, join } from 'node:path'
import { RefusedError } from '../../../errors.js'
import type { Instance } from '../../../instance.js'
import { stateDir } from '../../../paths.js'
import type { Backend } from '../../backend.js'
import type { BackendParts } from '../../index.js'
import { openDirect } from '../index.js'
import { demoDomain } from './seed.js'
import { databaseName } from './server/fill.js'
import { owner } from './server/postgres.js'
import { password, readRecord } from './server/record.js'
import { sandboxState } from './server.js'

/** Returns the folder of the sandbox: the configured one, or one beside what this tool remembers of its runs. */
export function sandboxDir(instance: Pick<Instance, 'sandboxDir'>): string {
  return instance.sandboxDir ?? join(stateDir(), 'sandbox-data')
}

/** Returns the name under which the sandbox's runs are kept. */
export function sandboxName(instance: Pick<Instance, 'sandboxDir' | 'name'>): string {
  if (instance.name !== '') return instance.name
  return instance.sandboxDir === undefined ? 'sandbox' : `sandbox-${basename(instance.sandboxDir)}`
}

/**
 * Returns the backend of the sandbox that runs: its PostgreSQL, and its Redis where there is one. It has no Mastodon,
 * so it has neither one-off processes nor configuration.
 *
 * @throws RefusedError when it does not run.
 */
export async function openSandbox(instance: Instance, parts: BackendParts): Promise<Backend> {
  const dir = sandboxDir(instance)
  const state = await sandboxState({ dir })
  if (state.state !== 'running') throw notRunning(dir, state.state)
  // The sandbox has no LOCAL_DOMAIN to read, and its schema would tell a range of releases only.
  instance.domain ??= demoDomain
  instance.mastodonVersion ??= state.release
  const name = sandboxName(instance)
  return openDirect(await urls(dir, state), parts, { kind: 'sandbox', title: `the sandbox in ${dir}`, name })
}

/** With the password in them: secrets. */
async function urls(
  dir: string,
  state: { port: number; redis: boolean },
): Promise<Pick<Instance, 'databaseUrl' | 'redisUrl'>> {
  const [secret, record] = await Promise.all([password(dir), readRecord(dir)])
  return {
    databaseUrl: `postgresql://${owner}:${secret}@127.0.0.1:${state.port}/${databaseName}?sslmode=disable`,
    ...(state.redis ? { redisUrl: `redis://:${secret}@127.0.0.1:${record?.redis?.port}/0` } : {}),
  }
}

function notRunning(dir: string, state: 'absent' | 'stopped'): RefusedError {
  return new RefusedError({
    code: 'sandbox-not-running',
    message: state === 'absent' ? 'There is no sandbox yet.' : 'The sandbox does not run.',
    cause: `It would be in ${dir}.`,
    next: 'mstdn-ops sandbox:start',
  })
}
