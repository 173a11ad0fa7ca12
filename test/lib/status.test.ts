import { beforeAll, describe, expect, it } from 'vitest'
import { MastodonVersion } from '../../src/lib/mastodon/version.js'
import { readStatus, releaseStatus, type Status } from '../../src/lib/status/status.js'
import { headline, statusText } from '../../src/lib/status/text.js'
import { type TableLayout, tableLayout } from '../../src/lib/tables.js'
import { toolboxOf } from '../support/toolbox-of.js'

let layOut: TableLayout
beforeAll(async () => {
  layOut = await tableLayout()
})

const known = <T>(value: T) => ({ value, problem: null })
const unknown = (problem: string) => ({ value: null, problem })
const GiB = 2 ** 30

function statusWith(parts: Partial<Status>): Status {
  return {
    ...{ instance: 'main', title: 'a made instance', domain: known('example.com') },
    release: known(releaseStatus(MastodonVersion.of('4.5.3'))),
    backup: { takenAt: null },
    jobs: known({
      queues: [
        { name: 'default', size: 3, latency: 240, listeners: 1 },
        { name: 'fasp', size: 0, latency: 0, listeners: 0 },
      ],
      processes: [{} as never],
      stats: { processed: 0, failed: 0, enqueued: 3, retry: 2, dead: 1, scheduled: 0 },
      problems: ['Nobody takes jobs from the queue fasp.'],
    }),
    rows: known({ rows: 9412, bytes: GiB, tables: 71, budget: null }),
    disk: known([{ place: 'database', path: '/', totalBytes: 100 * GiB, freeBytes: 40 * GiB }]),
    processes: known([]),
    maintenance: known(false),
    volumes: known([]),
    unfinishedRun: known(null),
    ...parts,
  }
}

describe('the first line', () => {
  it('holds version, release, backup, jobs, rows and disk', () => {
    expect(headline(statusWith({}))).toMatch(
      /^Mastodon 4\.5\.3 \(4\.5\.\d+ is out\) · no backup recorded · jobs wait 4 min · 9,412 rows · disk 60 % full$/,
    )
  })

  it('has the budget where one is set, and an unfinished run', () => {
    const budget = {
      of: 'rows',
      used: 9412,
      budget: 10_000,
      percent: 94,
      verdict: 'warn',
      text: '9,412 of 10,000 rows (94 %)',
    } as const
    const line = headline(
      statusWith({ rows: known({ rows: 9412, bytes: 1, tables: 1, budget }), unfinishedRun: known('R') }),
    )
    expect(line).toContain('· 9,412 of 10,000 rows (94 %) ·')
    expect(line).toMatch(/run R UNFINISHED$/)
  })

  it('leaves out what is not known', () => {
    const nothing = statusWith({ release: unknown('x'), jobs: unknown('x'), rows: unknown('x'), disk: unknown('x') })
    expect(headline(nothing)).toBe('Mastodon of unknown version · no backup recorded')
  })
})

describe('the status', () => {
  it('says of each part that cannot be had why, in one line', async () => {
    const text = statusText(await readStatus(toolboxOf({})), { layOut, columns: 80, now: new Date() })
    for (const title of ['Rows', 'Jobs', 'Disk', 'Processes', 'Volumes']) {
      expect(text.split('\n').filter(line => line.startsWith(title))).toEqual([
        expect.stringMatching(/not known: the made backend has no /),
      ])
    }
  })

  it('goes on when a part fails', async () => {
    const status = await readStatus(toolboxOf({ redis: { read: () => Promise.reject(new Error('gone')) }, disks: [] }))
    expect(status.jobs).toEqual({ value: null, problem: 'gone' })
    expect(status.disk).toEqual({ value: [], problem: null })
  })

  it('says in both places that the maintenance mode is on, and nothing while it is off', () => {
    const page = { layOut, columns: 80, now: new Date() }
    const on = statusWith({ maintenance: known(true) })
    expect(headline(on)).toMatch(/ · MAINTENANCE MODE$/)
    expect(statusText(on, page)).toContain('mstdn-ops maintenance:off')
    expect(statusText(statusWith({}), page)).not.toMatch(/maintenance/i)
    expect(statusText(statusWith({ maintenance: unknown('it has none') }), page)).not.toMatch(
      /maintenance|it has none/i,
    )
  })

  it('names the processes of a platform one by one, and leaves out what it does not tell', async () => {
    const now = new Date('2026-11-22T12:00:00Z')
    const web = { role: 'web', id: 'web.1', health: 'none', startedAt: new Date('2026-11-22T09:00:00Z') } as const
    const status = await readStatus(toolboxOf({ processes: [web] }))
    const text = statusText(status, { layOut, columns: 80, now })
    expect(text).toMatch(/^ROLE +NAME +STATE +RUNS FOR$/m)
    expect(text).toMatch(/^web +web\.1 +running +3 h$/m)
  })

  it('marks queues that nobody listens to', () => {
    const text = statusText(statusWith({}), { layOut, columns: 80, now: new Date() })
    expect(text).toMatch(/^fasp +0 +NONE$/m)
    expect(text).toContain('! Nobody takes jobs from the queue fasp.')
  })
})

describe('the release', () => {
  it('is compared with the newest of its series', () => {
    expect(releaseStatus(MastodonVersion.of('4.5.3'))).toMatchObject({
      updateAvailable: true,
      supportEnds: '2027-02-20',
    })
    const newest = releaseStatus(MastodonVersion.of('4.5.3')).newestOfSeries ?? ''
    expect(releaseStatus(MastodonVersion.of(newest))).toMatchObject({ updateAvailable: false })
    expect(releaseStatus(MastodonVersion.of('9.9.9'))).toMatchObject({ updateAvailable: false, newestOfSeries: null })
  })
})
