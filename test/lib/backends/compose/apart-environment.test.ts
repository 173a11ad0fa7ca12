import { expect, test } from 'vitest'
import { environmentApart } from '../../../../src/lib/backends/compose/apart-environment.js'

const APART = { name: 'scratch', user: 'role', password: 'abc', port: 5433 }

test('nothing that leads to a server of the instance is handed on', () => {
  const live = [
    ...['DB_HOST', 'DB_NAME', 'DB_USER', 'DB_PASS', 'DB_PORT', 'DB_SSLMODE', 'DATABASE_URL', 'REPLICA_DB_HOST'],
    ...['REPLICA_DATABASE_URL', 'REDIS_HOST', 'REDIS_PASSWORD', 'REDIS_URL', 'REDIS_NAMESPACE', 'REDIS_SENTINELS'],
    ...['SIDEKIQ_REDIS_URL', 'CACHE_REDIS_HOST', 'SMTP_SERVER', 'SMTP_PASSWORD', 'BULK_SMTP_SERVER', 'S3_ENABLED'],
    ...['S3_BUCKET', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'SWIFT_ENABLED', 'ES_ENABLED', 'ES_HOST', 'ES_PASS'],
    ...['PGHOST', 'PGHOSTADDR', 'PGOPTIONS', 'PGPASSFILE', 'PGSSLMODE'],
    ...['SKIP_POST_DEPLOYMENT_MIGRATIONS', 'http_proxy', 'PATH', 'DOCKER_HOST', 'LD_PRELOAD', 'COMPOSE_FILE'],
  ]
  const found = environmentApart(new Map(live.map(name => [name, 'of the live one'])), APART)
  expect(Object.values(found)).not.toContain('of the live one')
  expect(found.DATABASE_URL).toBe('postgres://role:abc@mstdn-ops-database:5433/scratch')
  expect(found.REDIS_URL).toBe('redis://mstdn-ops-redis:6379/0')
})

test('what migrations need is handed on', () => {
  const needed = {
    ...{ LOCAL_DOMAIN: 'a.example', SECRET_KEY_BASE: 's', OTP_SECRET: 'o', RAILS_ENV: 'production', ESCAPE: 'x' },
    ...{ ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY: 'two\nlines', MIGRATION_IGNORE_INVALID_OTP_SECRET: 'true' },
  }
  expect(environmentApart(new Map(Object.entries(needed)), APART)).toMatchObject(needed)
})
