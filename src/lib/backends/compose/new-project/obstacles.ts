import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Answers } from '../../../setup/questions.js'

/** Returns what is in the way on this machine, and what is only to be warned of. */
export async function obstaclesOf(answers: Answers): Promise<{ fatal: string[]; warnings: string[] }> {
  const fatal: string[] = []
  const warnings: string[] = []
  for (const id of ['web-port', 'streaming-port']) {
    const { [id]: port = '', listen = '' } = answers
    if (await isTaken(Number(port), listen))
      fatal.push(`Port ${port} of ${listen} is taken: choose another with --${id}.`)
  }
  const maps = await kernelSetting('vm/max_map_count')
  if (answers.elasticsearch === 'yes' && maps !== undefined && maps < 262_144)
    fatal.push(`Elasticsearch does not start with vm.max_map_count ${maps}: sysctl -w vm.max_map_count=262144`)
  if ((await kernelSetting('vm/overcommit_memory')) === 0)
    warnings.push('Redis may fail to save with vm.overcommit_memory 0. To change it: sysctl -w vm.overcommit_memory=1')
  return { fatal, warnings }
}

/** Only what listens there already counts: an address that is not this machine's is for the engine to judge. */
function isTaken(port: number, address: string): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'))
    server.listen(port, address, () => server.close(() => resolve(false)))
  })
}

/** Undefined where the machine has no such setting. */
async function kernelSetting(name: string): Promise<number | undefined> {
  const text = await readFile(`/proc/sys/${name}`, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text)
}
