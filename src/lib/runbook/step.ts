import type { Effect } from '../runner.js'
import type { Toolbox } from '../toolbox.js'

/** What a step may use while it runs, besides the runbook's options that it closes over. */
export interface StepContext {
  readonly toolbox: Toolbox
  /** The id of this run: unique, and the key under which things are kept aside. */
  readonly runId: string
  /** True in a dry run: reads run, writes are only recorded. Skip looking at a result that cannot be there yet. */
  readonly dryRun: boolean
  /** Writes a fact into the journal, on disk before this returns: whatever undo or resume will need. Never secrets. */
  note(key: string, value: string): Promise<void>
  /** Reads a fact back, also after a crash. */
  noted(key: string): string | undefined
  /** Hands something to the operator that must never be written down, like a new password. Lost with the process. */
  reveal(key: string, value: string): void
  /** Shows what the step is doing right now. */
  progress(text: string): void
  /**
   * Aborted when the operator asks the run to stop. A step may heed it that only reads, or whose undo takes back
   * whatever stands: it ends what it has started and throws the signal's reason. Never aborted on the way back.
   */
  readonly stop: AbortSignal
  /** Takes the lock of the run again, in the database that is the instance's now. See {@link InstanceLock.again}. */
  lockAgain(): Promise<void>
}

/**
 * What looking told of a step whose end was not seen. `not done`: nothing of it stands, or its undo takes back what does.
 */
export type Settled = 'done' | 'not done' | 'unknown'

export interface Step {
  /** Stable: a journal of this step is resumed by it. */
  readonly id: string
  /** Can be read aloud, in the imperative: `Replace the keys in .env.production`. */
  readonly title: string
  readonly effect: Effect
  /** Asked before the step: false, or the reason in words, when there is nothing to do. Then there is nothing to undo. */
  needed?(context: StepContext): Promise<boolean | string>
  /** Asked on resume of a step that was under way: true when its work stands already. */
  done?(context: StepContext): Promise<boolean>
  run(context: StepContext): Promise<void>
  /**
   * Asked when `run` threw OutcomeUnknownError: looks what came of it. Where absent, {@link done} tells.
   *
   * @throws OutcomeUnknownError that says more than the one before it; any other error means `unknown`.
   */
  settle?(context: StepContext): Promise<Settled>
  /** Takes back what the step did; safe when it did nothing, half or all of it. */
  undo?(context: StepContext): Promise<void>
  /**
   * Asked before a run is taken back, of a step that was begun: the reason in words when what the run has made is in use
   * by now. Then nothing is taken back: the run goes on to its end. Undefined: it can be taken back.
   */
  inUse?(context: StepContext): Promise<string | undefined>
  /** The step changes all or nothing (one transaction, one process that looks before it acts): a failure left nothing. */
  readonly atomic?: boolean
  /** Doing it again is harmless and nothing waits for it: a failure is told, but holds up no other run. */
  readonly repeatable?: boolean
  /** Why nothing takes this step back once it is done: the point of no return. */
  readonly irreversible?: string
}

/** How much an operator must say before the first change. */
export type Consent =
  | { kind: 'none' }
  /** A yes, or `--yes`. */
  | { kind: 'yes'; question: string }
  /** The domain typed back, or `--confirm DOMAIN`; `--yes` does not replace it. */
  | { kind: 'domain'; loses: string }

/** A named procedure: options in, steps out. */
export interface Runbook<Options extends object = object, Result extends object = object> {
  readonly name: string
  /** What a killed run of it left harms nobody, and its next run clears it away: it is not resumed, and holds up no other. */
  readonly disposable?: boolean
  /** Refuses what can be refused before anything happens; reads only. */
  check?(toolbox: Toolbox, options: Options): Promise<void>
  consent?(toolbox: Toolbox, options: Options): Promise<Consent>
  steps(toolbox: Toolbox, options: Options): Promise<Step[]>
  /** What the run achieved, read from the journal's notes. */
  result(toolbox: Toolbox, options: Options, noted: (key: string) => string | undefined): Promise<Result>
}
