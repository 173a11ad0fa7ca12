import { createHash } from 'node:crypto'
import { existsSync, symlinkSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finish, must } from './process.js'

/** The base images: Debian roots that differ in what they lack. */
export type Root = 'app' | 'full' | 'db-lean' | 'redis-lean'

const registry = 'mstdn-ops.test'
const release = 'bookworm'
const packages = [
  'postgresql-15',
  'redis-server',
  'redis-tools',
  'ruby',
  'ruby-pg',
  'ruby-redis',
  'curl',
  'procps',
  'tini',
  'netcat-openbsd',
  'socat',
  'busybox',
  'zstd',
]

const never = ['./var/cache/apt', './var/lib/apt/lists', './proc', './sys', './dev', './usr/share/i18n']
const postgres = [
  './usr/lib/postgresql*',
  './usr/share/postgresql*',
  './usr/bin/pg_*',
  './usr/bin/psql',
  './usr/local/bin',
]
const redis = ['./usr/bin/redis-*']
const relays = [
  './usr/bin/nc',
  './usr/bin/nc.*',
  './usr/bin/netcat',
  './usr/bin/socat*',
  './usr/bin/busybox',
  './usr/bin/*zst*',
]
const ruby = [
  './usr/lib/ruby',
  './usr/lib/*/ruby',
  './usr/lib/*/libruby*',
  './usr/bin/ruby*',
  './usr/bin/rake*',
  './usr/bin/gem*',
  './usr/bin/irb*',
  './usr/bin/erb*',
]
const perl = ['./usr/bin/perl*', './usr/lib/*/perl*', './usr/share/perl*']
const procps = [
  'ps',
  'pgrep',
  'pkill',
  'pidwait',
  'kill',
  'skill',
  'snice',
  'top',
  'free',
  'uptime',
  'w',
  'watch',
  'vmstat',
  'pmap',
  'slabtop',
  'tload',
  'pwdx',
].map(name => `./usr/bin/${name}`)
const curl = ['./usr/bin/curl']
const bash = ['./usr/bin/bash', './usr/bin/rbash']

/** What each root leaves out. The lean ones have no process tools, relays, Ruby, Perl or zstd, and Redis' has no bash. */
const lacking: Record<Root, readonly string[]> = {
  full: [],
  app: [...postgres, ...redis, ...relays],
  'db-lean': [...redis, ...relays, ...ruby, ...perl, ...procps, ...curl],
  'redis-lean': [...postgres, ...relays, ...ruby, ...perl, ...procps, ...curl, ...bash],
}

const digest = createHash('sha256')
  .update(JSON.stringify({ release, packages, never, lacking, revision: 1 }))
  .digest('hex')
  .slice(0, 12)

/** The image name of a root. Its tag changes with the package list. */
export function rootImage(root: Root): string {
  return `${registry}/root:${root}-${digest}`
}

/** Makes the missing base images, all from one bootstrap. Needs root and mmdebstrap (`scripts/engine up`). */
export async function buildRoots(roots: readonly Root[]): Promise<void> {
  const missing: Root[] = []
  for (const root of roots) if (!(await imageExists(rootImage(root)))) missing.push(root)
  if (missing.length === 0) return
  const folder = await mkdtemp(join(await roomyFolder(), 'mstdn-ops-root-'))
  try {
    await bootstrap(folder)
    for (const root of missing) await importRoot(folder, root)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function imageExists(name: string): Promise<boolean> {
  return (await finish('docker', ['image', 'inspect', '--format', '{{.Id}}', name])).code === 0
}

/** Memory where it is large enough: dpkg's fsync makes a disk three times slower. */
async function roomyFolder(): Promise<string> {
  const memory = '/dev/shm'
  const needed = 1.5e9
  if (!existsSync(memory)) return tmpdir()
  const { bavail, bsize } = await statfs(memory)
  return bavail * bsize > needed ? memory : tmpdir()
}

async function bootstrap(folder: string): Promise<void> {
  const unwanted = [
    '/usr/share/doc/*',
    '/usr/share/man/*',
    '/usr/share/locale/*',
    '/usr/share/info/*',
    '/usr/lib/*/libLLVM*',
    '/usr/lib/postgresql/15/lib/bitcode/*',
  ]
  await must(
    'mmdebstrap',
    [
      '--mode=root',
      '--variant=minbase',
      '--format=directory',
      '--quiet',
      `--include=${packages.join(',')}`,
      ...unwanted.map(path => `--dpkgopt=path-exclude=${path}`),
      '--aptopt=Acquire::Languages "none"',
      // The package must not make a cluster of its own: the container's entry point does.
      '--essential-hook=mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"',
      '--customize-hook=chroot "$1" groupadd --gid 991 mastodon',
      '--customize-hook=chroot "$1" useradd --uid 991 --gid 991 --no-create-home --home-dir /opt/mastodon mastodon',
      release,
      folder,
      await archive(),
    ],
    { env: { ...process.env, TMPDIR: join(folder, '..') } },
  )
  await linkServerPrograms(folder)
}

/** The archive that this machine's apt uses already. */
async function archive(): Promise<string> {
  const format = '$(ORIGIN) $(CODENAME) $(REPO_URI)'
  const list = () => must('apt-get', ['indextargets', '--format', format])
  const uri = (text: string) =>
    text
      .split('\n')
      .find(line => line.startsWith(`Debian ${release} `))
      ?.split(' ')[2]
  const known = uri(await list())
  if (known) return known
  await must('apt-get', ['-qq', 'update'])
  const found = uri(await list())
  if (!found)
    throw new Error(`apt on this machine knows no archive of Debian ${release}: the test images cannot be built`)
  return found
}

/** PostgreSQL's own programs on the path, in place of Debian's Perl wrapper. */
async function linkServerPrograms(folder: string): Promise<void> {
  const programs = '/usr/lib/postgresql/15/bin'
  await mkdir(join(folder, 'usr/local/bin'), { recursive: true })
  for (const name of await readdir(join(folder, programs)))
    symlinkSync(join(programs, name), join(folder, 'usr/local/bin', name))
}

async function importRoot(folder: string, root: Root): Promise<void> {
  const excludes = [...never, ...lacking[root]].map(path => `--exclude=${path}`)
  const tar = ['tar', '-C', folder, '--anchored', '--no-wildcards-match-slash', ...excludes, '-c', '.']
  const script =
    'set -o pipefail; name=$1; root=$2; shift 2; "$@" | docker import -c "LABEL mstdn-ops.bed.root=$root" - "$name"'
  await must('bash', ['-c', script, 'import', rootImage(root), root, ...tar])
}
