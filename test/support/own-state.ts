import { rmSync } from 'node:fs'
import { afterEach, beforeEach } from 'vitest'
import { stateFolder } from './state.js'

/** Gives each test of the file an empty state folder for the runs of this process. */
export function ownState(): void {
  let state: string
  let former: string | undefined
  beforeEach(() => {
    former = process.env.XDG_STATE_HOME
    state = stateFolder()
    process.env.XDG_STATE_HOME = state
  })
  afterEach(() => {
    if (former === undefined) delete process.env.XDG_STATE_HOME
    else process.env.XDG_STATE_HOME = former
    rmSync(state, { recursive: true, force: true })
  })
}
