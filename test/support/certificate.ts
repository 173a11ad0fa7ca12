import { execFileSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { unprivileged } from './postgres.js'

/** Makes a self-signed certificate, as Heroku's servers show one; returns the two files. */
export function selfSigned(dir: string): { cert: string; key: string } {
  const files = { cert: join(dir, 'server.crt'), key: join(dir, 'server.key') }
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
  try {
    execFileSync('openssl', [...args, '-out', files.cert, '-keyout', files.key], { stdio: 'ignore' })
  } catch {
    throw new Error('this test needs openssl: run `apt-get install openssl` as root')
  }
  const { uid, gid } = unprivileged()
  if (uid !== undefined) for (const file of Object.values(files)) chownSync(file, uid, gid)
  return files
}
