import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { RefusedError } from '../../../../errors.js'
import { poll } from './process.js'

/** Milliseconds that another start or stop of the same sandbox may take. */
const PATIENCE = 60_000

/**
 * Does the work while nobody else starts or stops the sandbox in this folder.
 *
 * The turn is a listening socket in Linux's abstract namespace: the kernel frees it when its holder dies.
 *
 * @throws RefusedError when another one holds it for a minute
 */
export async function inTurn<T>(dir: string, work: () => Promise<T>): Promise<T> {
  const name = `\0mstdn-ops-sandbox-${createHash('sha256').update(dir).digest('hex')}`
  const turn = await poll(PATIENCE, () => listen(name))
  if (turn === undefined) throw busy(dir)
  try {
    return await work()
  } finally {
    turn.close()
  }
}

function listen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(name, () => resolve(server))
  })
}

function busy(dir: string): RefusedError {
  return new RefusedError({
    code: 'sandbox-busy',
    message: `The sandbox in ${dir} is being started or stopped by another process.`,
    next: 'Wait for it, then run the command again.',
  })
}
