import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { contract, type Facet, type Subject } from '../../contract/suite.js'
import { type Stack, type StackOptions, startStack } from './bed/bed.js'
import { must } from './bed/process.js'

const ALL: readonly Facet[] = [
  'oneOff',
  'processes',
  'releases',
  'config',
  'logs',
  'files',
  'storage',
  'postgres',
  'redis',
]

async function startCompose(options: Omit<StackOptions, 'version'>): Promise<Subject> {
  const stack = await startStack({ version: '4.5.3', ...options })
  await appendFile(join(stack.projectDir, '.env.production'), '\n# A comment, and an empty line before it.\nLAST=1\n')
  await stack.compose('up', '-d', '--wait')
  return {
    flags: { backend: 'compose', projectDir: stack.projectDir },
    env: {},
    sql: text => stack.psql(text),
    bystanders: () => bystanders(stack),
    configText: () => readFile(join(stack.projectDir, '.env.production'), 'utf8'),
    stop: () => stack.stop(),
  }
}

/** What comes and goes by itself: health checks, and PostgreSQL's own processes. */
const OF_THE_BED = /postgres:|pg_isready|redis-cli|ps aux|curl|grep/

/** Every process in the project's containers that might be a relay, by its container. */
async function bystanders(stack: Stack): Promise<string[]> {
  const running = (await stack.containers()).filter(container => container.state === 'running')
  const lists = running.map(async ({ id, name }) => {
    const lines = (await must('docker', ['top', id, '-o', 'pid,args'])).split('\n').slice(1)
    return lines.filter(line => !OF_THE_BED.test(line)).map(line => `${name} ${line.trim()}`)
  })
  return (await Promise.all(lists)).flat()
}

contract('compose, full images', ALL, () => startCompose({ variant: 'full', sidekiq: 'scaled' }))
contract('compose, lean images', ALL, () => startCompose({ variant: 'lean', streaming: false }))
contract('compose, PostgreSQL outside of the project', ALL, () =>
  startCompose({ variant: 'lean', externalPostgres: true, sidekiq: 'split', streaming: false }),
)
