import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder, writeSynced } from '../../../atomic-file.js'
import { messageOf, RefusedError } from '../../../errors.js'
import type { VariableGroup } from '../../../mastodon/new-instance/environment.js'
import { isSecretName } from '../../../mastodon/secrets.js'
import { variablesIn } from '../env-variables.js'
import { DEFAULT_FILES } from '../project-files.js'
import { COMPOSE_FILE, ENV_FILE } from './compose-file.js'

interface Texts {
  compose: string
  env: string
}

/** The folders of a project that keeps its data beside its file. */
const DATA_FOLDERS = ['postgres', 'redis', 'elasticsearch', 'public/system']

/** The files of a new project in its folder. */
export class NewFiles {
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
  }

  /** Returns the paths of the files that compose or the app would read. */
  present(): string[] {
    return [...DEFAULT_FILES, ENV_FILE].map(name => join(this.#dir, name)).filter(path => existsSync(path))
  }

  planned({ compose, env }: Texts): { path: string; text: string; mode: string }[] {
    return [
      { path: join(this.#dir, ENV_FILE), text: env, mode: '0600' },
      { path: join(this.#dir, COMPOSE_FILE), text: compose, mode: '0644' },
    ]
  }

  /** Secrets are not compared: whoever runs setup again may not have them at hand. Nor is the release, which upgrades. */
  async compare(wanted: { compose: string; variables: readonly VariableGroup[] }) {
    const compose = await this.#read(COMPOSE_FILE)
    const there = variablesIn((await this.#read(ENV_FILE)) ?? '')
    const pairs = wanted.variables.flatMap(({ variables }) => variables)
    const differing = pairs.flatMap(([name, value]) =>
      there.get(name) === value || (isSecretName(name) && there.has(name)) ? [] : [`${name} in ${ENV_FILE}`],
    )
    if (compose === undefined) differing.unshift(`${COMPOSE_FILE} is not there`)
    else if (withoutRelease(compose) !== withoutRelease(wanted.compose)) differing.unshift(COMPOSE_FILE)
    const domain = there.get('LOCAL_DOMAIN')
    return { isSame: differing.length === 0, differing, ...(domain === undefined ? {} : { domain }) }
  }

  /** The env file first: without its neighbour nothing reads it. Safe to repeat. */
  async write({ compose, env }: Texts): Promise<void> {
    try {
      await mkdir(this.#dir, { recursive: true })
      await this.#put(ENV_FILE, env, 0o600)
      await this.#put(COMPOSE_FILE, compose, 0o644)
    } catch (error) {
      throw notWritten(this.#dir, error)
    }
  }

  async unwrite(): Promise<void> {
    for (const name of [COMPOSE_FILE, ENV_FILE]) await rm(join(this.#dir, name), { force: true })
  }

  async setAside(key: string): Promise<void> {
    for (const path of this.present()) await rename(path, path + suffix(key))
  }

  async putBack(key: string): Promise<void> {
    for (const copy of this.kept(key)) await rename(copy, copy.slice(0, -suffix(key).length))
  }

  /** Returns the folders of data that are there. */
  data(): string[] {
    return DATA_FOLDERS.map(name => join(this.#dir, name)).filter(path => existsSync(path))
  }

  kept(key: string): string[] {
    return [...DEFAULT_FILES, ENV_FILE]
      .map(name => join(this.#dir, name + suffix(key)))
      .filter(path => existsSync(path))
  }

  /** @throws RefusedError naming the folders that only root can remove. */
  async removeData(): Promise<void> {
    const left: string[] = []
    for (const name of DATA_FOLDERS) {
      const path = join(this.#dir, name)
      await rm(path, { recursive: true, force: true }).catch(() => left.push(path))
    }
    if (left.length > 0) throw dataLeft(left)
  }

  async #put(name: string, text: string, mode: number): Promise<void> {
    const path = join(this.#dir, name)
    const draft = join(this.#dir, `.${name}.mstdn-ops-${process.pid}`)
    try {
      await writeSynced(draft, text)
      await chmod(draft, mode)
      await rename(draft, path)
    } finally {
      await rm(draft, { force: true })
    }
    await syncFolder(this.#dir)
  }

  #read(name: string): Promise<string | undefined> {
    return readFile(join(this.#dir, name), 'utf8').catch(() => undefined)
  }
}

function suffix(key: string): string {
  return `.before-${key.replace(/[^\w.-]/g, '_')}`
}

function withoutRelease(compose: string): string {
  return compose.replaceAll(/(\/mastodon(?:-streaming)?):v\S+/g, '$1')
}

function notWritten(dir: string, error: unknown): RefusedError {
  return new RefusedError({
    code: 'files-not-written',
    message: `The files in ${dir} could not be written.`,
    cause: messageOf(error),
    next: 'Choose another folder with -C DIR, or give this one to the user who runs the command.',
  })
}

function dataLeft(paths: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'data-left',
    message: 'Folders of containers are left, which only root can remove.',
    cause: paths.join(', '),
    next: `sudo rm -r ${paths.join(' ')}`,
  })
}
