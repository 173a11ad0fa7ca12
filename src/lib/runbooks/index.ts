import type { Runbook } from '../runbook/step.js'

/** Every runbook by the name that journals hold, loaded when a run is resumed. */
export const RUNBOOKS: Record<string, () => Promise<Runbook<never, object>>> = {
  'accounts:confirm': async () => (await import('./accounts/confirm.js')).confirm,
  'accounts:disable-2fa': async () => (await import('./accounts/disable-2fa.js')).disable2fa,
  'accounts:make-admin': async () => (await import('./accounts/make-admin.js')).makeAdmin,
  'accounts:reset-password': async () => (await import('./accounts/reset-password.js')).resetPassword,
  // Without a value: it died with the process that was told it.
  'config:set': async () => (await import('./config/set.js')).setRunbook(),
  'keys:vapid': async () => (await import('./keys/vapid.js')).vapid,
  'assets:precompile': async () => (await import('./assets/precompile.js')).precompile,
  'cache:clear': async () => (await import('./content/caches.js')).clearCache,
  daily: async () => (await import('./daily/daily.js')).daily,
  'db:discard': async () => (await import('./db/discard.js')).discard,
  'db:migrate': async () => (await import('./db/migrate.js')).migrate,
  'db:psql': async () => (await import('./db/psql.js')).sqlStatement,
  'db:restore': async () => (await import('./db/restore.js')).restore,
  'db:seed': async () => (await import('./db/seed.js')).seed,
  'feeds:build': async () => (await import('./content/caches.js')).buildFeeds,
  'feeds:clear': async () => (await import('./content/caches.js')).clearFeeds,
  'jobs:clear': async () => (await import('./jobs/jobs.js')).clearJobs,
  'jobs:retry': async () => (await import('./jobs/jobs.js')).retryJobs,
  'jobs:run': async () => (await import('./jobs/jobs.js')).runJob,
  'maintenance:off': async () => (await import('./maintenance/maintenance.js')).maintenanceOff,
  'maintenance:on': async () => (await import('./maintenance/maintenance.js')).maintenanceOn,
  'media:refresh': async () => (await import('./content/media.js')).refreshMedia,
  'media:remove': async () => (await import('./content/media.js')).removeMedia,
  'push:clear': async () => (await import('./content/caches.js')).clearPush,
  'redis:cli': async () => (await import('./db/redis-command.js')).redisCommand,
  restart: async () => (await import('./restart/restart.js')).restart,
  rollback: async () => (await import('./db/rollback.js')).rollback,
  scale: async () => (await import('./scale/scale.js')).scale,
}
