import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { must } from '../compose/bed/process.js'

/** Makes a self-signed certificate for 127.0.0.1, as the platform's servers show one; returns the two files. */
export async function selfSignedForLoopback(dir: string): Promise<{ cert: string; key: string }> {
  const files = { cert: join(dir, 'server.crt'), key: join(dir, 'server.key') }
  await must('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    ...['-keyout', files.key, '-out', files.cert],
  ])
  await chmod(files.cert, 0o644)
  return files
}
