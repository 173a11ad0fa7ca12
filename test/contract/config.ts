import { expect, test } from 'vitest'
import { lifeOf } from '../../src/lib/backends/backend.js'
import { facetOf } from './subject.js'
import type { Now } from './suite.js'

/** Values that an env file's two readers could take for something else. */
const VALUES = [
  'plain',
  'two words',
  ' outer spaces ',
  `it's`,
  'say "so"',
  'a # b',
  '#first',
  '$HOME and $' + '{HOME}',
  '$$',
  'back\\slash',
  'C:\\new\\road',
  'a=b==',
  '=',
  `'single'`,
  '"double"',
  `mixed ' and " and $x`,
  '`id`',
  '$(id)',
  'é😀',
  'https://user:p%40ss@host/?a=1&b=2#frag',
]
const NAMED = Object.fromEntries(VALUES.map((value, at) => [`CONTRACT_${at}`, value]))
const NONE = Object.fromEntries(Object.keys(NAMED).map(name => [name, null]))

/** The app's variables: written as they are meant, in force at the next start, and put back as they were. */
export function configContract(now: Now): void {
  const config = () => facetOf(now().backend, 'config')

  test('what runs and what is stored are the same until something is written', async () => {
    await config().writable()
    expect(config().where).not.toBe('')
    const [running, stored] = [await config().running(), await config().stored()]
    for (const name of ['LOCAL_DOMAIN', 'SECRET_KEY_BASE']) {
      expect(stored.get(name)).toBeTruthy()
      expect(running.get(name)).toBe(stored.get(name))
    }
  })

  test('a value is stored as it is written, and in force at once or at the next start, as is said', async () => {
    await config().write(NAMED)
    const [running, stored] = [await config().running(), await config().stored()]
    expect(Object.fromEntries(Object.keys(NAMED).map(name => [name, stored.get(name)]))).toEqual(NAMED)
    const own = await config().own()
    expect(Object.keys(NAMED).map(name => own.get(name))).toEqual(VALUES)
    for (const other of ['PATH', 'DATABASE_URL']) expect(own.has(other)).toBe(false)
    const inForce = config().appliesAtOnce ? Object.keys(NAMED) : []
    expect(Object.keys(NAMED).filter(name => running.has(name))).toEqual(inForce)
  })

  test('a process that starts anew sees the values', { timeout: 60_000 }, async () => {
    const { oneOff } = now().backend
    if (oneOff === undefined) throw new Error('a backend with configuration can run one-offs')
    const script = 'for name; do eval "printf \\"[%s]\\" \\"\\$$name\\""; done'
    const argv = ['sh', '-c', script, 'sh', ...Object.keys(NAMED)]
    const { stdout } = await oneOff.run({ argv, effect: 'read', fresh: true })
    expect(stdout).toBe(VALUES.map(value => `[${value}]`).join(''))
  })

  test('a write starts the processes anew by itself where that is said, and leaves them alone elsewhere', {
    timeout: 60_000,
  }, async () => {
    const starts = async () => ((await now().backend.processes?.list()) ?? []).map(lifeOf)
    const before = await starts()
    await config().write({ CONTRACT_0: 'anew' })
    if (!config().appliesAtOnce) return expect(await starts()).toEqual(before)
    await expect.poll(starts, { timeout: 30_000 }).not.toContain(before[0])
    await expect.poll(async () => (await starts()).length, { timeout: 30_000 }).toBe(before.length)
  })

  test('null takes a variable out, and the rest is as it was', async () => {
    const before = await now().configText?.()
    await config().write({ CONTRACT_EXTRA: 'x' })
    await config().write({ CONTRACT_EXTRA: null })
    expect((await config().stored()).has('CONTRACT_EXTRA')).toBe(false)
    expect(await now().configText?.()).toBe(before)
    await config().write(NONE)
    expect([...(await config().stored()).keys()].filter(name => name.startsWith('CONTRACT_'))).toEqual([])
  })

  test('a changed variable keeps its place, and comments theirs', async () => {
    const before = await now().configText?.()
    const former = (await config().stored()).get('SMTP_FROM_ADDRESS') ?? ''
    await config().write({ SMTP_FROM_ADDRESS: 'other@mastodon.example' })
    const changed = before?.replace(/^SMTP_FROM_ADDRESS=.*$/m, 'SMTP_FROM_ADDRESS=other@mastodon.example')
    expect(await now().configText?.()).toBe(changed)
    await config().write({ SMTP_FROM_ADDRESS: former })
    expect(await now().configText?.()).toBe(before)
  })

  test('the kept state is put back; keeping twice keeps the first; forgotten is forgotten', async () => {
    const before = await config().stored()
    const text = await now().configText?.()
    expect(await config().keep('contract', ['LOCAL_DOMAIN', 'CONTRACT_NEW'])).not.toBe('')
    await config().write({ LOCAL_DOMAIN: 'other.example', CONTRACT_NEW: '1' })
    await config().keep('contract', ['LOCAL_DOMAIN', 'CONTRACT_NEW'])
    await config().putBack('contract')
    await config().putBack('contract')
    expect(await config().stored()).toEqual(before)
    expect(await now().configText?.()).toBe(text)
    await config().forget('contract')
    await config().forget('contract')
    await config().write({ CONTRACT_NEW: '2' })
    await config().putBack('contract')
    expect((await config().stored()).get('CONTRACT_NEW'), 'nothing was kept any more').toBe('2')
    await config().write({ CONTRACT_NEW: null })
  })

  test('a name that is none is refused, and nothing is written', async () => {
    const before = await config().stored()
    await expect(config().write({ 'BAD NAME': 'x', CONTRACT_GOOD: 'y' })).rejects.toMatchObject({ exitCode: 2 })
    expect(await config().stored()).toEqual(before)
  })
}
