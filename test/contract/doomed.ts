import { Ledger } from '../../src/lib/ledger.js'
import { openDatabase } from '../../src/lib/postgres/access.js'
import { openRedis } from '../../src/lib/redis/access.js'
import { facetOf, openSubject } from './subject.js'

/** Run as a process of its own: uses the backend, says so in one line, and waits to be killed. */
const [flags = '{}', work, ...words] = process.argv.slice(2)
const backend = await openSubject({ flags: JSON.parse(flags), sql: async () => '', stop: async () => undefined })
const say = (line: string) => process.stdout.write(`${line}\n`)

if (work === 'postgres') {
  const database = await openDatabase(facetOf(backend, 'postgres'), {
    ledger: new Ledger(),
    dryRun: false,
    purpose: words[0],
  })
  const sleeping = database.query('SELECT pg_sleep(300)')
  say('connected')
  await sleeping
}
if (work === 'redis') {
  const redis = await openRedis(facetOf(backend, 'redis'), { ledger: new Ledger(), dryRun: false })
  await redis.read('PING')
  say('connected')
  await redis.read('BLPOP', 'contract:never', '300')
}
if (work === 'oneOff') {
  const [longKey = '', ...argv] = words
  await facetOf(backend, 'oneOff').run({ argv, effect: 'write', longKey, onLine: say })
}
setInterval(() => undefined, 60_000)
