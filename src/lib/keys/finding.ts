/** What was found of one or more secrets. `unknown`: there is nothing to tell it by. */
export interface KeyFinding {
  look: 'value' | 'in-force' | 'pair' | 'opens' | 'backup'
  secrets: readonly string[]
  state: 'ok' | 'warn' | 'bad' | 'unknown'
  message: string
  /** What to do about it: a command, where one does it. */
  fix?: string
}
