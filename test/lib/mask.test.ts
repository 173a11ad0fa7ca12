import { expect, it } from 'vitest'
import { masked } from '../../src/lib/mask.js'

it.each([
  ['mail to <alice.b+c@social.example>', 'mail to <[E-MAIL]>'],
  [
    'redis://:s3cret@redis:6379/0 and postgres://u:p@db',
    'redis://[CREDENTIALS]@redis:6379/0 and postgres://[CREDENTIALS]@db',
  ],
  ['fwd="203.0.113.7"', 'fwd="[ADDRESS]"'],
  ['from 2001:db8:0:1:1:1:1:1 and 2001:db8::1', 'from [ADDRESS] and [ADDRESS]'],
  ['listening on 0.0.0.0:3000 and 127.0.0.1', 'listening on 0.0.0.0:3000 and 127.0.0.1'],
  ['Authorization: Bearer ZYX-wvu_321', 'Authorization: Bearer [TOKEN]'],
  [
    'GET /auth/password/edit?reset_password_token=Xy12-abcdEFghIJklmNO&x=1 200',
    'GET /auth/password/edit?reset_password_token=[VALUE]&x=1 200',
  ],
  ['?code=abc&state=def', '?code=[VALUE]&state=[VALUE]'],
  [`hash $2a$10$${'./Aa0'.repeat(10)}xyz.`, 'hash [HASH].'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY----- left', '[PRIVATE KEY] left'],
  ['jid=f038d3ea18407098ea6e6a16', 'jid=[TOKEN]'],
  ['canary0123456789abcdef01234567value0123456789abcdef', '[TOKEN]'],
  ['key aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD=', 'key [TOKEN]'],
])('%s', (text, clean) => {
  expect(masked(text)).toBe(clean)
})

it.each([
  'PG::DuplicateTable: ERROR:  relation "index_accounts_on_uri" already exists',
  '2026-11-22T18:52:43.201851451Z at 18:52:43',
  'ActiveRecord::Encryption::Errors::Decryption',
  '/usr/local/bundle/gems/activerecord-7.1.5.1/lib/active_record/migration.rb:755',
  'class=ActivityPub::ProcessingWorker elapsed=0.04 INFO: done',
])('%s stays as it is', text => {
  expect(masked(text)).toBe(text)
})

it.each(['-', 'a-', 'a1', 'A', '?token=', 'a@', '1.', 'f:', '$2a$10$'])('is quick with 64,000 times %s', piece => {
  const started = performance.now()
  masked(piece.repeat(64_000 / piece.length))
  expect(performance.now() - started).toBeLessThan(3_000)
})
