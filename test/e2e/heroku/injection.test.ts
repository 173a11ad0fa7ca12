import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { expect } from 'vitest'
import { cli } from '../../support/cli.js'
import { injectionTable } from '../injection.js'
import { startHerokuApp } from './bed.js'

injectionTable(
  async () => {
    const tmp = mkdtempSync(join(tmpdir(), 'mstdn-ops-dynos-'))
    chmodSync(tmp, 0o1777)
    const app = await startHerokuApp({ version: '4.5.3', tmp })
    const env = { ...app.env, HEROKU_APP: app.app }
    // What a dyno leaves in its /tmp is seen here: otherwise nothing could fail.
    expect(await cli(['run', '--', 'touch', '/tmp/seen'], { env })).toMatchObject({ exitCode: 0 })
    expect(existsSync(join(tmp, 'seen'))).toBe(true)
    return {
      cwd: app.home,
      env,
      setFlags: [],
      psql: sql => app.psql(sql),
      redis: (...args) => app.redis(...args),
      configuration: async () => JSON.stringify(app.config()),
      holds: async path => {
        expect(dirname(path)).toBe('/tmp')
        return existsSync(join(tmp, basename(path)))
      },
      stop: async () => {
        await app.stop()
        rmSync(tmp, { recursive: true, force: true })
      },
    }
  },
  { turns: 18 },
)
