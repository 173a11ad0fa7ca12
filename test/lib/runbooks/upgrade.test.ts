import { describe, expect, it } from 'vitest'
import { RefusedError } from '../../../src/lib/errors.js'
import { plannedUpgrade, refusalOf, updatesFor } from '../../../src/lib/runbooks/upgrade/planned.js'
import { surroundingsOf } from '../../../src/lib/runbooks/upgrade/surroundings.js'
import { type Made, toolboxOf } from '../../support/toolbox-of.js'

const FILES = ['db/migrate:', '20230907150100_a.rb', '', 'db/post_migrate:', '20230904134623_b.rb'].join('\n')
const database = (applied: readonly string[]): Made['database'] => ({
  serverVersionNum: async () => 150_018,
  query: async sql =>
    (sql.includes('to_regclass') ? [{ there: true }] : applied.map(version => ({ version }))) as never,
})
const info = JSON.stringify({ hostname: 'h', pid: 1, queues: ['default', 'scheduler'], concurrency: 5 })
const ANSWERS: Readonly<Record<string, unknown>> = {
  INFO: 'redis_version:7.4.1\r\n',
  TIME: [String(Math.floor(Date.now() / 1000)), '0'],
  SMEMBERS: ['h:1:x'],
  HMGET: [info, '0', String(Date.now() / 1000), 'false'],
}
const redis: Made['redis'] = { read: async command => ANSWERS[command] ?? null }
const oneOff: Made['oneOff'] = {
  run: async ({ argv }) => ({ stdout: argv[0] === 'ls' ? FILES : '', stderr: '', exitCode: 0, planned: false }),
}
const MIGRATED = ['20230904134623', '20230907150100']

/** Mastodon 4.2.9 on images. */
const made: Made = {
  version: '4.2.9',
  config: { SECRET_KEY_BASE: 'secret', OTP_SECRET: 'x_DO_NOT_USE_IN_PRODUCTION', ES_ENABLED: '' },
  processes: [
    { role: 'web', image: 'ghcr.io/mastodon/mastodon:v4.2.9', command: 'puma' },
    { role: 'web', image: 'ghcr.io/mastodon/mastodon:v4.2.9', command: 'puma', id: 'web-2' },
    { role: 'sidekiq', image: 'ghcr.io/mastodon/mastodon:v4.2.9', healthCommand: 'ps' },
  ],
  ...{ database: database(MIGRATED), redis, oneOff },
}

describe('what an upgrade finds', () => {
  it('on images: everything, and no value of a variable', async () => {
    const found = await surroundingsOf(toolboxOf(made))
    expect(found).toEqual({
      installed: '4.2.9',
      schema: {
        applied: MIGRATED,
        files: [
          { id: '20230904134623', phase: 'post' },
          { id: '20230907150100', phase: 'pre' },
        ],
      },
      servers: { postgres: 150_018, redis: '7.4.1' },
      runtimes: 'shipped',
      variables: { set: ['OTP_SECRET', 'SECRET_KEY_BASE'], unusable: ['OTP_SECRET'] },
      services: [
        { name: 'web', role: 'web', image: 'ghcr.io/mastodon/mastodon:v4.2.9', command: 'puma', healthCommand: null },
        {
          name: 'sidekiq',
          role: 'sidekiq',
          image: 'ghcr.io/mastodon/mastodon:v4.2.9',
          command: null,
          healthCommand: 'ps',
        },
      ],
      queues: ['default', 'scheduler'],
      can: { images: true, beside: true, appliesAtOnce: false },
    })
    expect(JSON.stringify(found)).not.toContain('DO_NOT_USE')
  })

  it('on a platform that builds: no images, and no release beside another', async () => {
    const formation = { sizes: async () => [], scale: async () => undefined }
    const found = await surroundingsOf(toolboxOf({ version: '4.2.9', processes: [{ role: 'web' }], formation }))
    expect(found.can).toEqual({ images: false, beside: false, appliesAtOnce: false })
    expect(found.runtimes).toBe('shipped')
  })

  it('with nothing but a version: nothing is known', async () => {
    expect(await surroundingsOf(toolboxOf({ version: '4.2.9' }))).toMatchObject({
      ...{ schema: null, servers: { postgres: null, redis: null }, variables: null, services: null, queues: null },
      runtimes: null,
    })
  })

  it('what cannot be looked at is unknown, and the rest is found', async () => {
    const broken = { read: async () => Promise.reject(new RefusedError({ code: 'gone', message: 'Redis is away.' })) }
    const found = await surroundingsOf(toolboxOf({ ...made, redis: broken }))
    expect([found.servers, found.queues]).toEqual([{ postgres: 150_018, redis: null }, null])
  })
})

describe('the planned upgrade', () => {
  it('to what is installed looks at nothing', async () => {
    const processes = { list: () => Promise.reject(new Error('looked')) }
    const toolbox = toolboxOf({ version: '4.5.3' })
    const plan = await plannedUpgrade({ ...toolbox, backend: { ...toolbox.backend, processes } as never }, 'v4.5.3')
    expect([plan.steps, plan.refusals]).toEqual([[], []])
    expect(refusalOf(plan)).toBeUndefined()
  })

  it('without a target goes to the newest release that is known', async () => {
    const { to } = await plannedUpgrade(toolboxOf({ ...made, config: { UPDATE_CHECK_URL: '' } }))
    expect(to).toBe('4.7.4')
  })

  it('names everything that is in the way in one refusal', async () => {
    const plan = await plannedUpgrade(toolboxOf({ ...made, database: database(MIGRATED.slice(1)) }), '4.3.8')
    expect(plan.refusals.map(({ code }) => code)).toEqual(['half-migrated', 'unmet-otp-secret'])
    const refusal = refusalOf(plan)
    expect(refusal).toMatchObject({ code: 'upgrade-refused', exitCode: 3 })
    expect(refusal?.next).toContain('mstdn-ops db:migrate --phase post')
    expect(refusal?.next).toContain('mstdn-ops config:set OTP_SECRET')
  })

  it("the instance's own UPDATE_CHECK_URL says who is asked", async () => {
    const { asked, problem } = await updatesFor(
      toolboxOf({ version: '4.5.3', config: { UPDATE_CHECK_URL: 'http://127.0.0.1:1/' } }),
    )
    expect([asked, problem]).toEqual(['http://127.0.0.1:1/', expect.stringContaining('could not be reached')])
  })
})
