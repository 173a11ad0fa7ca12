import { createECDH, randomBytes } from 'node:crypto'
import { since } from '../compose/bed/images.js'

/** The config variables of a Mastodon of this release on Heroku, add-ons' left out (app.json; `since` names the release). */
export function configVars(version: string, domain: string): Record<string, string> {
  const hex = () => randomBytes(64).toString('hex')
  return {
    ...{ HEROKU: 'true', LOCAL_DOMAIN: domain, SINGLE_USER_MODE: 'false', LANG: 'en_US.UTF-8' },
    ...{ RAILS_ENV: 'production', RACK_ENV: 'production', NODE_ENV: 'production', RAILS_LOG_TO_STDOUT: 'enabled' },
    ...{ RAILS_SERVE_STATIC_FILES: 'enabled', SECRET_KEY_BASE: hex() },
    ...(since(version, '4.4.0') ? {} : { OTP_SECRET: hex() }),
    ...(since(version, '3.0.0') ? {} : { PAPERCLIP_SECRET: hex(), LOCAL_HTTPS: 'false' }),
    ...(since(version, '1.5.0') ? vapidKeys() : {}),
    ...(since(version, '4.3.0') ? encryptionKeys() : {}),
    ...{ S3_ENABLED: 'true', S3_BUCKET: 'mastodon-media', S3_HOSTNAME: 's3.example.com', S3_REGION: 'us-east-1' },
    ...{ AWS_ACCESS_KEY_ID: randomBytes(10).toString('hex'), AWS_SECRET_ACCESS_KEY: hex().slice(0, 40) },
    ...{ SMTP_SERVER: 'smtp.example.com', SMTP_PORT: '587', SMTP_LOGIN: 'mastodon', SMTP_PASSWORD: hex().slice(0, 24) },
    SMTP_FROM_ADDRESS: `notifications@${domain}`,
  }
}

function vapidKeys(): Record<string, string> {
  const keys = createECDH('prime256v1')
  keys.generateKeys()
  return {
    VAPID_PRIVATE_KEY: padded(keys.getPrivateKey('base64url')),
    VAPID_PUBLIC_KEY: padded(keys.getPublicKey('base64url')),
  }
}

const padded = (text: string) => text + '='.repeat((4 - (text.length % 4)) % 4)

function encryptionKeys(): Record<string, string> {
  const names = ['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY']
  return Object.fromEntries(names.map(name => [`ACTIVE_RECORD_ENCRYPTION_${name}`, randomBytes(16).toString('hex')]))
}
