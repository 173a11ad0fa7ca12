import type { CheckResult } from '../../checks/index.js'
import type { Answers } from '../../setup/questions.js'

/** What a run of setup is to do. It is written down: the answers hold no secrets. */
export interface SetupOptions {
  answers: Answers
  /** Whether the app's files that are there may be set aside. */
  replace: boolean
}

export interface SetupResult {
  domain: string
  release: string
  /** The folder of its files. */
  where: string
  owner: string
  /** The name of the owner's role; null where there was an administrator already. */
  role: string | null
  /** Whether anything was to be done. */
  made: boolean
  /** Where the files are that stood there before. */
  kept: string[]
  /** What doctor found: all that is not well. */
  findings: Pick<CheckResult, 'id' | 'state' | 'message' | 'fix'>[]
  warnings: string[]
  /** What the reverse proxy needs, by its name. */
  proxy: Record<'nginx' | 'caddy', string>
}
