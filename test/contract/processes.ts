import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lifeOf, ROLES } from '../../src/lib/backends/backend.js'
import { facetOf } from './subject.js'
import type { Now } from './suite.js'

/** The processes of the app. */
export function processesContract(now: Now): void {
  const processes = () => facetOf(now().backend, 'processes')

  test('are listed with their role, state and, where they come from one, image', async () => {
    const list = await processes().list()
    expect(list.map(one => one.role)).toContain('web')
    for (const one of list) {
      expect(ROLES).toContain(one.role)
      expect(one.state).toBe('running')
      expect(one.image ?? 'mastodon').toContain('mastodon')
      expect(one.startedAt?.getTime()).toBeLessThanOrEqual(Date.now() + 60_000)
    }
    expect(new Set(list.map(one => one.id)).size).toBe(list.length)
  })

  test('stop and start keep how many there are', { timeout: 90_000 }, async () => {
    const before = (await processes().list()).map(one => one.id).sort()
    await processes().stop(['sidekiq'])
    const stopped = (await processes().list()).filter(one => one.role === 'sidekiq')
    expect(new Set(stopped.map(one => one.state))).toEqual(new Set(['stopped']))
    await processes().stop(['sidekiq'])
    await processes().start(['sidekiq'])
    await processes().start(['sidekiq'])
    const after = await processes().list()
    expect(after.map(one => one.id).sort()).toEqual(before)
    expect(after.filter(one => one.state !== 'running')).toEqual([])
  })

  test('a restart starts those of the role anew, as many as there were, and no others', {
    timeout: 90_000,
  }, async () => {
    const starts = async () => (await processes().list()).map(one => ({ role: one.role, life: lifeOf(one) }))
    const before = await starts()
    const roleOf = (role: string) => (one: { role: string }) => one.role === role
    const former = before.filter(roleOf('sidekiq')).map(one => one.life)
    await processes().restart(['sidekiq'])
    const after = await starts()
    expect(after.map(one => one.role)).toEqual(before.map(one => one.role))
    expect(after.filter(roleOf('web'))).toEqual(before.filter(roleOf('web')))
    for (const { life } of after.filter(roleOf('sidekiq'))) expect(former).not.toContain(life)
    expect((await processes().list()).every(one => one.state === 'running')).toBe(true)
  })

  formationContract(now)
}

/** How many processes of each type there are, where the platform keeps the number. */
function formationContract(now: Now): void {
  const processes = () => facetOf(now().backend, 'processes')
  const ofType = async (name: string) => (await processes().list()).filter(one => one.name === name)

  test('a type is scaled up by one and back, and no other', { timeout: 90_000 }, async context => {
    const { formation } = processes()
    if (formation === undefined) return context.annotate('the number of processes stands in files here')
    const before = await formation.sizes()
    const [first] = before.filter(size => size.quantity > 0)
    if (first === undefined) throw new Error('no process is to run')
    const { name, quantity } = first
    await formation.scale([{ name, quantity: quantity + 1 }])
    const more = before.map(size => (size.name === name ? { ...size, quantity: quantity + 1 } : size))
    expect(await formation.sizes()).toEqual(more)
    expect((await ofType(name)).map(one => one.state)).toEqual(Array(quantity + 1).fill('running'))
    await formation.scale([{ name, quantity }])
    expect(await formation.sizes()).toEqual(before)
    expect(await ofType(name)).toHaveLength(quantity)
  })
}

/** What is deployed. */
export function releasesContract(now: Now): void {
  const releases = () => facetOf(now().backend, 'releases')

  test('the current one has a label', async () => {
    const current = await releases().current()
    expect(current?.label).toMatch(/\S/)
  })

  test('a list begins with the newest, and is no longer than asked for', async context => {
    const list = await releases().list?.(2)
    if (list === undefined) return context.annotate('no list is kept here')
    expect(list.length).toBeGreaterThan(0)
    expect(list.length).toBeLessThanOrEqual(2)
    const times = list.map(release => release.at.getTime())
    expect(times).toEqual([...times].sort((a, b) => b - a))
    for (const { label, description } of list) expect(label && description).toBeTruthy()
    expect(list.filter(release => release.current).length).toBeLessThanOrEqual(1)
  })
}

/** The page that visitors see instead of the app. */
export function maintenanceContract(now: Now): void {
  test('is turned on and off, and turning it twice does no harm', async () => {
    const maintenance = facetOf(now().backend, 'maintenance')
    expect(await maintenance.isOn()).toBe(false)
    for (const on of [true, true, false, false]) {
      await maintenance.set(on)
      expect(await maintenance.isOn()).toBe(on)
    }
  })
}

/** What the processes have printed. */
export function logsContract(now: Now): void {
  const logs = () => facetOf(now().backend, 'logs')

  test('recent lines name their source, and are no more than asked for', async () => {
    const lines: { line: string; source: string }[] = []
    const onLine = (line: string, source: string) => lines.push({ line, source })
    await logs().read({ roles: ['web'], lines: 2, follow: false, onLine })
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.length).toBeLessThanOrEqual(2)
    for (const { source } of lines) expect(source).toMatch(/web/)
  })

  test('following ends when it is told to', async () => {
    const stop = new AbortController()
    const seen = new Promise<void>(resolve => {
      const following = logs().read({
        roles: ['web'],
        lines: 1,
        follow: true,
        signal: stop.signal,
        onLine: () => stop.abort(),
      })
      following.then(resolve)
    })
    await seen
    expect(stop.signal.aborted).toBe(true)
  })

  test('following ends at once when it was told to before it began', async () => {
    await logs().read({ roles: ['web'], lines: 1, follow: true, signal: AbortSignal.abort(), onLine: () => undefined })
  })
}

/** Files of a process. */
export function filesContract(now: Now): void {
  test('go in and come out, byte for byte, whatever their names', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-contract-'))
    const bytes = randomBytes(1024 * 1024)
    const name = `a:b 'c' "d" $e;f`
    await writeFile(join(dir, name), bytes)
    const files = facetOf(now().backend, 'files')
    await files.copy('in', join(dir, name), { place: 'web', path: `/tmp/${name}` })
    await files.copy('out', join(dir, 'back'), { place: 'web', path: `/tmp/${name}` })
    expect((await readFile(join(dir, 'back'))).equals(bytes)).toBe(true)
    await rm(dir, { recursive: true })
  })

  test('a file that is not there is refused, a place that is none is a mistake', async () => {
    const files = facetOf(now().backend, 'files')
    const missing = files.copy('out', '/tmp/x', { place: 'web', path: '/no/such/file' })
    await expect(missing).rejects.toMatchObject({ exitCode: 3 })
    await expect(files.copy('out', '/tmp/x', { place: 'nowhere', path: '/x' })).rejects.toMatchObject({ exitCode: 2 })
  })
}

/** Where the data lie. */
export function storageContract(now: Now): void {
  test('volumes have a place, a path and a kind', async () => {
    for (const volume of await facetOf(now().backend, 'storage').volumes()) {
      expect(['database', 'redis', 'media']).toContain(volume.place)
      expect(['bind', 'named', 'anonymous', 'none']).toContain(volume.kind)
      expect(volume.path).toMatch(/^\//)
    }
  })

  test('free space is told in bytes and is no more than all of it', async () => {
    const disk = await facetOf(now().backend, 'storage').disk()
    expect(disk.length).toBeGreaterThan(0)
    for (const { freeBytes, totalBytes } of disk) {
      expect(totalBytes).toBeGreaterThan(1024 * 1024)
      expect(freeBytes).toBeLessThanOrEqual(totalBytes)
    }
  })
}
