import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { imageNames } from '../compose/bed/images.js'
import { withLock } from '../compose/bed/lock.js'
import { finish, must } from '../compose/bed/process.js'
import { type Database, type ServersOptions, startServer } from './servers.js'

const IMAGE = 'mstdn-ops.test/pgbouncer:1'
/** The package and those of its libraries that the PostgreSQL image lacks. */
const PACKAGES = ['pgbouncer', 'libc-ares2', 'libevent-2.1-7']

const SCRIPT = `install -o postgres -g postgres -m 600 /bed/server.key /bed/server.crt /bed/pgbouncer.ini /bed/users.txt /run/
exec setpriv --reuid=postgres --regid=postgres --init-groups -- pgbouncer /run/pgbouncer.ini`

/** Puts pgbouncer before a database, in transaction mode, as `pg:connection-pooling:attach` does; returns its port. */
export async function startPooler(options: ServersOptions, database: Database): Promise<number> {
  await buildImage()
  await writeFile(join(options.dir, 'pgbouncer.ini'), SETTINGS)
  await writeFile(join(options.dir, 'users.txt'), `"${database.user}" "${database.password}"\n`, { mode: 0o600 })
  const probe = 'pg_isready -q -h 127.0.0.1 -p 6432'
  return startServer(options, { name: 'pooler', image: IMAGE, port: 6432, script: SCRIPT, settings: [], probe })
}

const SETTINGS = `[databases]
* = host=postgres port=5432
[pgbouncer]
listen_addr = *
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = /run/users.txt
pool_mode = transaction
max_client_conn = 100
default_pool_size = 10
client_tls_sslmode = require
client_tls_key_file = /run/server.key
client_tls_cert_file = /run/server.crt
server_tls_sslmode = require
ignore_startup_parameters = extra_float_digits
`

/** Debian's own pgbouncer on top of the PostgreSQL image; nothing is done where it is there. */
function buildImage(): Promise<void> {
  return withLock('mstdn-ops-heroku-pooler', async () => {
    if ((await finish('docker', ['image', 'inspect', IMAGE])).code === 0) return
    const context = await mkdtemp(join(tmpdir(), 'mstdn-ops-pooler-'))
    try {
      await unpackPackages(context)
      await writeFile(join(context, 'Dockerfile'), `FROM ${imageNames.postgres('full')}\nCOPY tree/usr /usr\n`)
      const env = { ...process.env, DOCKER_BUILDKIT: '0' }
      await must('docker', ['build', '--quiet', '--force-rm', '--tag', IMAGE, context], { env })
    } finally {
      await rm(context, { recursive: true, force: true })
    }
  })
}

async function unpackPackages(context: string): Promise<void> {
  const download = () => finish('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', ...PACKAGES], { cwd: context })
  if ((await download()).code !== 0) {
    await must('apt-get', ['-qq', 'update'])
    const { code, stderr } = await download()
    if (code !== 0) throw new Error(`apt-get could not download ${PACKAGES.join(', ')}\n${stderr}`)
  }
  await mkdir(join(context, 'tree'))
  await must('sh', ['-ec', 'for file in *.deb; do dpkg -x "$file" tree; rm "$file"; done'], { cwd: context })
}
