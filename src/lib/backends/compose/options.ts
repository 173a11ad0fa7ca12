import type { Ledger } from '../../ledger.js'
import type { Output } from '../../output.js'
import type { Runner } from '../../runner.js'
import type { Role } from '../backend.js'

/** Where the compose project is, as the operator's flags and configuration say it. */
export interface ComposeOptions {
  /** The project's folder; the working directory where absent. */
  projectDir?: string
  /** Compose files, like repeated `-f`. */
  files?: string[]
  projectName?: string
  profiles?: string[]
  /** The services of a role; roles that are not named are detected. */
  roles?: Partial<Record<Role, string[]>>
  dockerHost?: string
  context?: string
}

/** What the adapter needs from the outside. */
export interface ComposeParts {
  runner: Runner
  output: Output
  /** Gets the changes of files, which no runner sees. */
  ledger?: Ledger
  runId?: string
  /** Makes the end marker of a one-off; random where absent. */
  nonce?: () => string
  /** Whether a person sits at the terminal. */
  terminal?: boolean
}
