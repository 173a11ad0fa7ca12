import { generateKeyPairSync, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** DER tags (X.690). */
const SEQUENCE = 0x30
const SET = 0x31
const INTEGER = 0x02
const BIT_STRING = 0x03
const OBJECT = 0x06
const UTF8 = 0x0c
const UTC_TIME = 0x17

/** ecdsa-with-SHA256 and commonName, as their encoded numbers. */
const ECDSA_SHA256 = Buffer.from('2a8648ce3d040302', 'hex')
const COMMON_NAME = Buffer.from('550403', 'hex')

/** Makes a self-signed certificate for localhost, as Heroku's servers show one; returns the two files. */
export function selfSigned(dir: string): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = der(SEQUENCE, der(OBJECT, ECDSA_SHA256))
  const attribute = der(SEQUENCE, der(OBJECT, COMMON_NAME), der(UTF8, Buffer.from('localhost')))
  const name = der(SEQUENCE, der(SET, attribute))
  const validity = der(SEQUENCE, der(UTC_TIME, utc(-1)), der(UTC_TIME, utc(2)))
  const key = publicKey.export({ type: 'spki', format: 'der' })
  const body = der(SEQUENCE, der(INTEGER, Buffer.from([1])), algorithm, name, validity, name, key)
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)])
  const certificate = der(SEQUENCE, body, algorithm, der(BIT_STRING, signature))
  const files = { cert: join(dir, 'server.crt'), key: join(dir, 'server.key') }
  writeFileSync(files.cert, pem(certificate))
  writeFileSync(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  return files
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

/** `YYMMDDhhmmssZ`, days from now. */
function utc(days: number): Buffer {
  const time = new Date(Date.now() + days * 86_400_000)
  return Buffer.from(`${time.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`)
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
