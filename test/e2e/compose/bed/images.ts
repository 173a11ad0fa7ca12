import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { migrations } from '../../../../src/lib/backends/direct/sandbox/migrations.js'
import { withLock } from './lock.js'
import { finish, must } from './process.js'
import { buildRoots, type Root, rootImage } from './roots.js'

export const versions = ['1.5.1', '2.4.5', '2.9.4', '3.5.13', '4.2.9', '4.3.8', '4.5.3', '4.7.2'] as const
export type Variant = 'full' | 'lean'

const registry = 'mstdn-ops.test'
const standin = join(dirname(fileURLToPath(import.meta.url)), '..', 'standin')
const contentLabel = 'mstdn-ops.bed.content'

/** Image names that the compose file may use. */
export const imageNames = {
  app: (version: string) => `${registry}/mastodon/mastodon:v${version}`,
  streaming: (version: string) =>
    since(version, '4.3.0') ? `${registry}/mastodon/mastodon-streaming:v${version}` : imageNames.app(version),
  postgres: (variant: Variant) => `${registry}/postgres:15-${variant}`,
  redis: (variant: Variant) => `${registry}/redis:7-${variant}`,
}

/** True when `version` is `release` or a later one. Both are three plain numbers. */
export function since(version: string, release: string): boolean {
  const [a, b] = [version, release].map(text => text.split('.').map(Number))
  const differing = a?.findIndex((number, index) => number !== b?.[index]) ?? -1
  return differing === -1 || (a?.[differing] ?? 0) > (b?.[differing] ?? 0)
}

interface Image {
  readonly name: string
  readonly root: Root
  /** Path inside the build context → content, and whether it is executable. */
  readonly files: ReadonlyMap<string, File>
  readonly dockerfile: string
}

interface File {
  readonly text: string
  readonly executable?: boolean
}

/** Builds what is missing or changed: seconds when the base images exist, nothing when all is there. */
export async function buildImages(wanted: readonly string[] = versions): Promise<void> {
  const images = [...(await serverImages()), ...(await Promise.all(wanted.map(appImages))).flat()]
  if ((await staleOf(images)).length === 0) return
  // Test files run side by side: the first builds, the others find it done.
  await withLock('mstdn-ops-bed-images', async () => {
    const stale = await staleOf(images)
    await buildRoots([...new Set(stale.map(image => image.root))])
    for (const image of stale) await replace(image)
  })
}

async function staleOf(images: readonly Image[]): Promise<Image[]> {
  const current = await Promise.all(images.map(isCurrent))
  return images.filter((_, index) => !current[index])
}

/** The image that loses its name goes too, unless a container still uses it. */
async function replace(image: Image): Promise<void> {
  const before = await finish('docker', ['image', 'inspect', '--format', '{{.Id}}', image.name])
  await build(image)
  if (before.code === 0) await finish('docker', ['image', 'rm', before.stdout.trim()])
}

async function isCurrent(image: Image): Promise<boolean> {
  const format = `{{index .Config.Labels "${contentLabel}"}}`
  const { code, stdout } = await finish('docker', ['image', 'inspect', '--format', format, image.name])
  return code === 0 && stdout.trim() === contentOf(image)
}

function contentOf(image: Image): string {
  const parts = [
    rootImage(image.root),
    image.name,
    image.dockerfile,
    ...[...image.files].flatMap(([path, file]) => [path, file.text]),
  ]
  return createHash('sha256').update(parts.join('\0')).digest('hex')
}

/** The classic builder: it needs no plugin. The label gives each image an id of its own. */
async function build(image: Image): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), 'mstdn-ops-image-'))
  try {
    for (const [path, file] of image.files) await write(join(context, path), file)
    await writeFile(join(context, 'Dockerfile'), `${image.dockerfile}LABEL ${contentLabel}=${contentOf(image)}\n`)
    await must('docker', ['build', '--quiet', '--force-rm', '--tag', image.name, context], {
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
    })
  } finally {
    await rm(context, { recursive: true, force: true })
  }
}

async function write(path: string, file: File): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, file.text)
  await chmod(path, file.executable ? 0o755 : 0o644)
}

async function serverImages(): Promise<Image[]> {
  const images: Image[] = []
  for (const variant of ['full', 'lean'] as const) {
    images.push(await serverImage('db', imageNames.postgres(variant), variant === 'full' ? 'full' : 'db-lean'))
    images.push(await serverImage('redis', imageNames.redis(variant), variant === 'full' ? 'full' : 'redis-lean'))
  }
  return images
}

async function serverImage(kind: 'db' | 'redis', name: string, root: Root): Promise<Image> {
  const entrypoint = await readFile(join(standin, kind, 'entrypoint.sh'), 'utf8')
  const files = new Map([['entrypoint.sh', { text: entrypoint, executable: true }]])
  return { name, root, files, dockerfile: serverDockerfile[kind](rootImage(root)) }
}

const serverDockerfile = {
  db: (root: string) => `FROM ${root}
COPY entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/bin:/usr/bin:/usr/sbin LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
`,
  redis: (root: string) => `FROM ${root}
COPY entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/bin:/usr/bin:/usr/sbin LANG=C.UTF-8
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
`,
}

async function appImages(version: string): Promise<Image[]> {
  const program = await programFiles(version)
  const home = since(version, '2.8.0') ? 'opt/mastodon' : 'mastodon'
  const files = new Map([...program, ...homeFiles(version, home)])
  const app: Image = { name: imageNames.app(version), root: 'app', files, dockerfile: appDockerfile(version, home) }
  return since(version, '4.3.0') ? [app, streamingImage(version, program)] : [app]
}

/** The stand-in's own Ruby, with one launcher under every program name. */
async function programFiles(version: string): Promise<Map<string, File>> {
  const files = new Map<string, File>([['tree/usr/local/lib/standin/VERSION', { text: `${version}\n` }]])
  for (const name of (await readdir(join(standin, 'app'))).sort()) {
    const text = await readFile(join(standin, 'app', name), 'utf8')
    if (name.endsWith('.rb')) files.set(`tree/usr/local/lib/standin/${name}`, { text })
    else
      for (const program of ['rails', 'rake', 'bundle', 'puma', 'sidekiq', 'node', 'npm', 'yarn'])
        files.set(`tree/usr/local/bin/${program}`, { text, executable: true })
  }
  return files
}

function homeFiles(version: string, home: string): [string, File][] {
  const launcher = (program: string): [string, File] => [
    `tree/${home}/bin/${program}`,
    { text: `#!/bin/sh\nexec /usr/local/bin/${program} "$@"\n`, executable: true },
  ]
  const files: [string, File][] = [
    launcher('rails'),
    launcher('rake'),
    [`tree/${home}/lib/mastodon/version.rb`, { text: versionFile(version) }],
    [`tree/${home}/public/system/.keep`, { text: '' }],
    ...migrationFiles(version, home),
  ]
  if (since(version, '2.5.0')) {
    files.push([`tree/${home}/bin/tootctl`, { text: tootctlLauncher, executable: true }])
    files.push(
      [`tree/${home}/public/packs/manifest.json`, { text: '{}' }],
      [`tree/${home}/public/assets/.sprockets-manifest-image.json`, { text: '{}' }],
    )
  }
  if (!since(version, '4.3.0'))
    files.push([`tree/${home}/streaming/index.js`, { text: '// played by /usr/local/bin/node\n' }])
  return files
}

const tootctlLauncher = `#!/usr/bin/ruby --disable-gems
$LOAD_PATH.unshift('/usr/local/lib')
require 'standin/rails'
Standin::Rails.start('tootctl', ARGV)
`

/** lib/mastodon/version.rb in the shape of its era: a reader parses it without running it. */
export function versionFile(version: string): string {
  const [major, minor, patch] = version.split('.')
  const number = (name: string, value: string | undefined) => `    def ${name}\n      ${value}\n    end\n`
  const suffix = since(version, '4.2.0')
    ? "    def default_prerelease\n      ''\n    end\n"
    : since(version, '1.6.0')
      ? "    def pre\n      nil\n    end\n\n    def flags\n      ''\n    end\n"
      : '    def pre\n      nil\n    end\n'
  const numbers = [number('major', major), number('minor', minor), number('patch', patch), suffix].join('\n')
  return `# frozen_string_literal: true\n\nmodule Mastodon\n  module Version\n    module_function\n\n${numbers}  end\nend\n`
}

function migrationFiles(version: string, home: string): [string, File][] {
  return migrations
    .filter(migration => since(version, migration.release))
    .map(({ id, name, phase, sql }) => [
      `tree/${home}/db/${phase === 'post' ? 'post_migrate' : 'migrate'}/${id}_${name}.rb`,
      { text: `execute <<'SQL'\n${sql.trim()}\nSQL\n` },
    ])
}

function appDockerfile(version: string, home: string): string {
  const unprivileged = since(version, '2.3.0')
  const path = since(version, '2.4.3')
    ? `/${home}/bin:/usr/local/bin:/usr/bin:/usr/sbin`
    : '/usr/local/bin:/usr/bin:/usr/sbin'
  return `FROM ${rootImage('app')}
COPY --chown=991:991 tree/${home} /${home}
COPY tree/usr /usr
${home === 'mastodon' ? '' : 'RUN ln -s /opt/mastodon /mastodon\n'}ENV PATH=${path} LANG=C.UTF-8 RAILS_ENV=production NODE_ENV=production
WORKDIR /${home}
${unprivileged ? 'USER mastodon\nENTRYPOINT ["/usr/bin/tini", "--"]\n' : ''}EXPOSE 3000
`
}

/** From 4.3.0 on the streaming server has an image of its own, without the application. */
function streamingImage(version: string, program: ReadonlyMap<string, File>): Image {
  const kept = [...program].filter(([path]) => !path.includes('/bin/') || path.endsWith('/node'))
  const files = new Map([
    ...kept,
    ['tree/opt/mastodon/streaming/index.js', { text: '// played by /usr/local/bin/node\n' }] as [string, File],
  ])
  const dockerfile = `FROM ${rootImage('app')}
COPY tree /
ENV PATH=/usr/local/bin:/usr/bin:/usr/sbin LANG=C.UTF-8 NODE_ENV=production
WORKDIR /opt/mastodon
USER mastodon
EXPOSE 4000
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["node", "./streaming/index.js"]
`
  return { name: imageNames.streaming(version), root: 'app', files, dockerfile }
}
