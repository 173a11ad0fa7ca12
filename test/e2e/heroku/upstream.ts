import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { versionFile } from '../compose/bed/images.js'
import { must } from '../compose/bed/process.js'

/** What people of a fork may change: of ten lines each release changes the eighth. */
const HOME = 'app/views/home.txt'
const lines = (changed: Readonly<Record<number, string>> = {}) =>
  Array.from({ length: 10 }, (_, at) => `${changed[at + 1] ?? `line ${at + 1}`}\n`).join('')

/** A repository in a folder, to which commits are added. */
export class Repository {
  readonly dir: string

  constructor(dir: string) {
    this.dir = dir
  }

  git(...words: string[]): Promise<string> {
    return must('git', ['-C', this.dir, '-c', 'user.name=Somebody', '-c', 'user.email=a@b.example', ...words])
  }

  async commit(subject: string, files: Readonly<Record<string, string>>): Promise<string> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(this.dir, path, '..'), { recursive: true })
      await writeFile(join(this.dir, path), text)
    }
    await this.git('add', '--all')
    await this.git('commit', '--quiet', '-m', subject)
    return (await this.git('rev-parse', 'HEAD')).trim()
  }
}

/** Makes a project with a stable branch for each release, which change the same lines, as Mastodon has them. */
export async function makeUpstream(dir: string, releases: readonly string[]): Promise<Repository> {
  await must('git', ['init', '--quiet', '--initial-branch=main', dir])
  const upstream = new Repository(dir)
  await upstream.commit('The beginning', { [HOME]: lines(), 'lib/mastodon/version.rb': versionFile('1.0.0') })
  for (const version of releases) {
    await upstream.git('checkout', '--quiet', '-b', `stable-${version}`, 'main')
    const files = { [HOME]: lines({ 8: `of ${version}` }), 'lib/mastodon/version.rb': versionFile(version) }
    await upstream.commit(`Bump version to v${version}`, { ...files, 'CHANGELOG.md': `## ${version}\n` })
    await upstream.git('tag', `v${version}`)
  }
  return upstream
}

/** Makes a fork of a release with two commits of its own; `conflicting`: one of them changes what each release changes. */
export async function makeFork(
  dir: string,
  upstream: Repository,
  release: string,
  conflicting = false,
): Promise<Repository> {
  await must('git', ['clone', '--quiet', '--branch', `v${release}`, upstream.dir, dir])
  const fork = new Repository(dir)
  await fork.git('checkout', '--quiet', '-B', 'main')
  await fork.commit('Our own style', { 'app/javascript/own.css': 'body { color: teal }\n' })
  const changed: Readonly<Record<number, string>> = conflicting ? { 8: 'ours' } : { 2: 'ours', 8: `of ${release}` }
  await fork.commit('Greet people by name', { [HOME]: lines(changed) })
  return fork
}

/** Lets the app's repository hold what the fork has, as if it had been pushed. Returns the commit. */
export async function pushed(repository: string, fork: Repository): Promise<string> {
  await must('git', ['-C', repository, 'fetch', '--quiet', '--force', fork.dir, '+main:refs/heads/main'])
  return (await fork.git('rev-parse', 'main')).trim()
}
