import type { KnownProblem } from './problem.js'

const PUT_BACK =
  'Put back the value that the database was written with: it stands in the environment file of that time.'

export const SECRET_PROBLEMS: readonly KnownProblem[] = [
  {
    id: 'encryption-keys-missing',
    title: 'The encryption keys are missing',
    explains:
      'From 4.3.0 on Mastodon does not start without ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY, _KEY_DERIVATION_SALT and _PRIMARY_KEY.',
    versions: { since: '4.3.0' },
    signs: [
      { word: 'Missing Active Record encryption credential', seen: true },
      { word: 'ACTIVE_RECORD_ENCRYPTION_', pattern: /key not found: "ACTIVE_RECORD_ENCRYPTION_/ },
      {
        word: 'ACTIVE_RECORD_ENCRYPTION_',
        pattern: /ACTIVE_RECORD_ENCRYPTION_[A-Z_]{1,40}\b.{0,200}\b(missing|not set|must be set)\b/i,
      },
      { word: 'db:encryption:init', pattern: /Run [`']?(bin\/)?rails db:encryption:init/ },
    ],
    checks: ['encryption-keys'],
    offers: [
      { text: 'Where this database ever had keys, put back those: new ones make what they encrypted unreadable.' },
      {
        text: 'Otherwise, for each of the three: openssl rand -hex 16 | mstdn-ops config:set NAME',
      },
    ],
  },
  {
    id: 'encryption-keys-differ',
    title: 'Something encrypted cannot be read: the encryption keys are not the ones it was written with',
    explains:
      'The keys were replaced, or the database comes from another server. Two-factor sign-in fails, and from 4.7.0 on deliveries cannot be signed.',
    versions: { since: '4.3.0' },
    signs: [{ word: 'ActiveRecord::Encryption::Errors::Decryption', seen: true }],
    offers: [
      { text: PUT_BACK },
      { text: 'mstdn-ops config:set ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY, and likewise the other two' },
    ],
  },
  {
    id: 'otp-secret',
    title: 'OTP_SECRET is not the one that two-factor sign-in was set up with',
    explains:
      'A migration of 4.3.0 reads the old two-factor secrets with OTP_SECRET and stops at the first that it cannot read.',
    versions: { since: '4.3.0' },
    signs: [{ word: 'Unable to decrypt OTP secret' }, { word: 'MIGRATION_IGNORE_INVALID_OTP_SECRET' }],
    offers: [
      { text: `${PUT_BACK} mstdn-ops config:set OTP_SECRET, then mstdn-ops db:migrate` },
      {
        text: 'Where it is lost: MIGRATION_IGNORE_INVALID_OTP_SECRET=true for this one migration; the people concerned lose two-factor sign-in (mstdn-ops accounts:disable-2fa NAME).',
      },
    ],
  },
]
