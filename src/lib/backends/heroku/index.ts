import { dirname, join } from 'node:path'
import { RefusedError, UsageError } from '../../errors.js'
import type { Instance } from '../../instance.js'
import { runsDir } from '../../paths.js'
import { printableLine } from '../../text.js'
import type { Backend } from '../backend.js'
import type { BackendParts } from '../index.js'
import { HerokuApp } from './app.js'
import { HerokuBuild } from './build.js'
import { HerokuCaptures } from './captures.js'
import { HerokuConfig } from './config.js'
import { DataApi } from './data-api.js'
import { HerokuDatabases } from './databases.js'
import { appOfRemote, detectApp } from './detect.js'
import { Git, gitBaseOf } from './git.js'
import { readLogin } from './login.js'
import { HerokuLogs } from './logs.js'
import { HerokuOneOff } from './one-off.js'
import { PlatformApi } from './platform-api.js'
import { HerokuProcesses } from './processes.js'
import { ReleaseMemory } from './release-memory.js'
import { HerokuMaintenance, HerokuReleases } from './releases.js'
import { currentPostgres, isExcuse, postgresOf, redisOf } from './servers.js'
import { UPSTREAM } from './sources.js'

export { detectApp } from './detect.js'

/** A name, or an id. */
const APP_NAME = /^[a-z0-9][a-z0-9-]{1,40}$/

/** What the platform has not got, and what is done instead. */
const WITHOUT: NonNullable<Backend['without']> = {
  files: {
    cause: 'The disk of a dyno is its own and is thrown away when it ends or restarts.',
    next: 'Deploy files with the app (git push heroku main); media belong into an object storage (S3_ENABLED=true).',
  },
  storage: {
    cause: 'Disks and volumes are the platform’s own.',
    next: 'heroku pg:info shows how much of the database plan is used.',
  },
  apart: {
    cause: 'A dyno of another release would need an app and a database of its own.',
    next: 'Restore a backup into a compose project of the installed release in which db and redis alone run, and rehearse there: mstdn-ops upgrade --rehearse --fresh -C FOLDER',
  },
}

/**
 * Returns the backend of a Mastodon on Heroku.
 *
 * @throws UsageError when no app is named; RefusedError when there is no CLI, nobody is logged in, or the login does not
 * know the app.
 */
export async function openHeroku(instance: Instance, parts: BackendParts): Promise<Backend> {
  const name = instance.app ?? (await detectApp(instance, parts.runner))
  if (name === undefined) throw noApp()
  if (!APP_NAME.test(name)) throw badName(name)
  const { ledger, output, runner } = parts
  const login = await readLogin(parts)
  const apiParts = { ledger, output, dryRun: runner.dryRun }
  const api = new PlatformApi(login, apiParts)
  const app = new HerokuApp(name, api, parts, instance.roles)
  const config = await app.config().catch((error: unknown) => {
    throw error instanceof RefusedError && error.code === 'heroku-not-found' ? noSuchApp(name) : error
  })
  const tls = instance.acceptSelfSigned ? { acceptSelfSigned: true } : {}
  const postgres = currentPostgres(app, config, tls)
  const redis = redisOf(app, config, tls)
  const folder = dirname(runsDir(instance.name || name))
  const vars = new HerokuConfig(app, folder)
  const base = () => gitBaseOf(login.baseUrl, process.env.HEROKU_GIT_HOST)
  const git = new Git(join(folder, 'checkout'), { app: name, base, runner, login })
  const upstream = instance.upstream ?? UPSTREAM
  const isCheckout = async () => (await appOfRemote(instance.projectDir, runner)) === name
  const checkout = async () => instance.checkout ?? ((await isCheckout()) ? instance.projectDir : undefined)
  const data = () => new DataApi(login, apiParts)
  const connect = (url: string | undefined, variable: string) => postgresOf(app, url, tls, variable)
  return {
    kind: 'heroku',
    title: `Heroku app ${name}`,
    name,
    preflight: async () => undefined,
    oneOff: new HerokuOneOff(app, new ReleaseMemory(app), folder),
    processes: new HerokuProcesses(app, join(folder, 'formation.json')),
    releases: new HerokuReleases(app, new HerokuBuild(app, { git, config: vars, upstream, checkout })),
    maintenance: new HerokuMaintenance(app),
    config: vars,
    logs: new HerokuLogs(app),
    close: async () => undefined,
    ...(isExcuse(postgres) ? {} : { postgres }),
    ...(isExcuse(redis) ? {} : { redis }),
    ...(isExcuse(postgres) ? {} : { captures: new HerokuCaptures(app, data) }),
    databases: new HerokuDatabases(app, { data, connect }),
    without: {
      ...WITHOUT,
      ...(isExcuse(postgres) ? { postgres, captures: postgres } : {}),
      ...(isExcuse(redis) ? { redis } : {}),
    },
  }
}

function noApp(): UsageError {
  return new UsageError({
    code: 'no-app',
    message: 'No app on Heroku was named.',
    cause: 'Neither --app, `app:` in mstdn-ops.yaml, HEROKU_APP nor a git remote heroku says which.',
    next: 'Name it: --app APP (heroku apps lists them)',
  })
}

function badName(name: string): UsageError {
  return new UsageError({
    code: 'bad-app-name',
    message: `"${printableLine(name)}" is no name of an app on Heroku.`,
    cause: 'Names are made of small letters, digits and dashes.',
    next: 'heroku apps lists the apps; name one with --app.',
  })
}

function noSuchApp(name: string): RefusedError {
  return new RefusedError({
    code: 'heroku-not-found',
    message: `There is no app ${name} on Heroku for this login.`,
    next: 'heroku apps lists the apps; name one with --app.',
  })
}
