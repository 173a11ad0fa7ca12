import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RefusedError, UsageError } from '../../errors.js'
import { type Effect, type Invocation, type Outcome, programIsMissing, type Runner } from '../../runner.js'
import { printableLine, shellLine } from '../../text.js'
import { type Login, TRUSTED } from './login.js'

/** Milliseconds for what goes over the network: the first time all of Mastodon's history comes. */
const TRANSFER_MS = 3_600_000
const LOCAL_MS = 300_000
/** In which variable the helper finds the token: it stands in no argument and in no file. */
const TOKEN = 'MSTDN_GIT_TOKEN'
const HELPER = `!f() { test "$1" = get && printf 'username=heroku\\npassword=%s\\n' "$${TOKEN}"; }; f`
/** Nothing of the operator's own settings may sign, ask or change what is merged. */
const PLAIN = [
  'core.hooksPath=/dev/null',
  'commit.gpgSign=false',
  'core.autocrlf=false',
  'gc.auto=0',
  'rerere.enabled=false',
]
const NOBODY = { NAME: 'mstdn-ops', EMAIL: 'mstdn-ops@localhost' }

/** How a git command is run. */
export interface GitHow {
  /** Goes over the network to the app's repository, with the login. */
  asLogin?: boolean
  effect?: Effect
  env?: Readonly<Record<string, string>>
  byHand?: string
}

/** Returns the base of the URLs of the platform's git repositories, as the CLI makes it (HEROKU_GIT_HOST, or by HEROKU_HOST). */
export function gitBaseOf(apiUrl: string, gitHost: string | undefined): string {
  const api = new URL(apiUrl)
  const isLocal = /^(localhost|127\.0\.0\.1)$/.test(api.hostname)
  const given = gitHost === undefined || gitHost === '' ? undefined : gitHost
  const own = isLocal ? api.origin : `https://${api.host.replace(/^api\./, 'git.')}`
  const url = given === undefined ? own : /^https?:\/\//.test(given) ? given : `https://${given}`
  if (URL.canParse(url) && mayHaveToken(new URL(url))) return url.replace(/\/+$/, '')
  throw new UsageError({
    code: 'heroku-git-host',
    message: 'HEROKU_GIT_HOST names no host of Heroku.',
    cause: `It is ${printableLine(given ?? '')}; the token of your login would be sent there.`,
    next: 'Unset HEROKU_GIT_HOST, or name a host that ends in heroku.com.',
  })
}

/** Without encryption to this machine only. */
function mayHaveToken({ protocol, hostname }: URL): boolean {
  if (!TRUSTED.test(hostname)) return false
  return protocol === 'https:' || /^(localhost|127\.0\.0\.1)$/.test(hostname)
}

/** A checkout of this tool's own. */
export class Git {
  readonly folder: string
  readonly #app: string
  readonly #base: () => string
  readonly #runner: Runner
  readonly #login: Login

  constructor(folder: string, parts: { app: string; base: () => string; runner: Runner; login: Login }) {
    this.folder = folder
    this.#app = parts.app
    this.#base = parts.base
    this.#runner = parts.runner
    this.#login = parts.login
  }

  /** The app's repository. @throws UsageError for a foreign HEROKU_GIT_HOST. */
  get url(): string {
    return `${this.#base()}/${this.#app}.git`
  }

  async init(): Promise<void> {
    if (existsSync(join(this.folder, '.git', 'HEAD'))) return
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    await this.must(['init', '--quiet', this.folder])
  }

  /** Returns what it printed, without the last line break. @throws RefusedError when it fails. */
  async must(args: readonly string[], how: GitHow = {}): Promise<string> {
    const outcome = await this.run(args, how)
    if (outcome.exitCode === 0) return outcome.stdout.trimEnd()
    throw failed(args, outcome)
  }

  async succeeds(args: readonly string[]): Promise<boolean> {
    return (await this.run(args)).exitCode === 0
  }

  /** Standard error goes into standard output where somebody watches it: the remote speaks there. */
  async run(args: readonly string[], how: GitHow = {}, onLine?: (line: string) => void): Promise<Outcome> {
    const words = [...this.#settings(how), ...args]
    const watched = ['sh', ['-c', 'exec git "$@" 2>&1', 'git', ...words]] as const
    const [file, all] = onLine ? watched : (['git', words] as const)
    const invocation: Invocation = {
      ...{ file, args: all, cwd: this.folder, effect: how.effect ?? 'read', env: this.#environment(how) },
      timeoutMs: how.asLogin || args[0] === 'fetch' ? TRANSFER_MS : LOCAL_MS,
      byHand: how.byHand ?? shellLine(['git', ...args]),
    }
    return this.#runner.run(invocation, onLine).catch((error: unknown) => {
      throw programIsMissing(error) ? noGit() : error
    })
  }

  /** Returns what it printed in another folder, which is not touched; undefined when it fails. */
  async readIn(folder: string, args: readonly string[]): Promise<string | undefined> {
    const words = ['-C', folder, ...args]
    const invocation = { file: 'git', args: words, effect: 'read', timeoutMs: LOCAL_MS, env: { LC_ALL: 'C' } } as const
    const outcome = await this.#runner.run(invocation).catch((error: unknown) => {
      throw programIsMissing(error) ? noGit() : error
    })
    return outcome.exitCode === 0 ? outcome.stdout : undefined
  }

  #settings({ asLogin }: GitHow): string[] {
    const helper = `credential.${this.#base()}.helper`
    const login = asLogin ? [`${helper}=`, `${helper}=${HELPER}`] : []
    return [...PLAIN, ...login].flatMap(setting => ['-c', setting])
  }

  #environment({ asLogin, env = {} }: GitHow): Record<string, string> {
    return {
      ...{ GIT_DIR: join(this.folder, '.git'), GIT_WORK_TREE: this.folder, GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' },
      ...{ GIT_AUTHOR_NAME: NOBODY.NAME, GIT_AUTHOR_EMAIL: NOBODY.EMAIL },
      ...{ GIT_COMMITTER_NAME: NOBODY.NAME, GIT_COMMITTER_EMAIL: NOBODY.EMAIL },
      ...(asLogin ? { [TOKEN]: this.#login.token } : {}),
      ...env,
    }
  }
}

function noGit(): RefusedError {
  return new RefusedError({
    code: 'git-missing',
    message: 'The program git was not found.',
    cause: 'A release is deployed to Heroku by git push.',
    next: 'Install git, then run the command again.',
  })
}

function failed(args: readonly string[], { stderr }: Outcome): RefusedError {
  const lines = stderr.split('\n').filter(line => line.trim() !== '')
  return new RefusedError({
    code: 'git-failed',
    message: `git ${args[0]} failed.`,
    cause: printableLine(lines.slice(-3).join(' ') || 'It gave no reason.').slice(0, 600),
    next: 'Mend what git says, then run the command again.',
  })
}
