import type { VersionRange } from '../version.js'

/** What Mastodon prints and returns, so that a caller sees whether the change took place. */
interface Outcome {
  /** Found in stdout when the command did its work. Absent where Mastodon prints nothing to go by. */
  success?: RegExp
  /** Found in stdout or stderr when it did not. */
  failure?: RegExp
  /** Exit code 0 says nothing: look for `success`, or read the change back. */
  exitMayLie?: boolean
  /** What the command leaves undone although it succeeds. */
  partial?: string
}

/** One command of a range of releases. */
export interface CommandRow<P> extends VersionRange, Outcome {
  /** The argument list, run in the app's root directory. */
  argv: (params: P) => readonly string[]
  /** Variables that the command needs beyond the app's own environment. */
  env?: (params: P) => Readonly<Record<string, string>>
  /** The optional parameters that this range understands. Absent: all of them. */
  accepts?: readonly (keyof P & string)[]
  /** Whether the whole app is loaded (10 to 30 s, needs the database, Redis and every mandatory secret). */
  boots: boolean
  /** Asks its questions on a terminal and cannot be scripted. */
  interactive?: boolean
  /** Erases data. */
  destructive?: boolean
  /** Prints a secret on stdout: never log it. */
  printsSecret?: boolean
  note?: string
  /** Where the fact is read: file and release of Mastodon. */
  source: string
}

/** A range of releases that has no command for the operation. */
export interface LackingRow extends VersionRange {
  /** Why. */
  lacking: string
  /** What to do. */
  instead: string
  source: string
}

export type Row<P> = CommandRow<P> | LackingRow

/** One thing that an operator wants done, and how each range of releases does it. */
export interface Operation<P> {
  /** Completes "Mastodon 2.5.2 has no command to …". */
  purpose: string
  rows: readonly Row<P>[]
}

export function isLacking<P>(row: Row<P>): row is LackingRow {
  return 'lacking' in row
}

/** Keeps the parameter type of an operation while its rows are checked. */
export function operation<P>(purpose: string, rows: readonly Row<P>[]): Operation<P> {
  return { purpose, rows }
}

/** `bundle exec` works alike in the images, on Heroku and in a source install, from 1.3.0 on. */
export const rake = (task: string): readonly string[] => ['bundle', 'exec', 'rake', task]

export const rails = (...words: readonly string[]): readonly string[] => ['bundle', 'exec', 'rails', ...words]

/** The file is in the app from 2.5.0 on; it is on the PATH of the images only, so it is named by its path. */
export const tootctl = (...words: readonly string[]): readonly string[] => ['bin/tootctl', ...words]

export type FlagValue = string | number | boolean | undefined

/**
 * Returns the command line flags for the parameters that are set, in the order of `names`.
 * A value that starts with a dash is bound with `=`: it would be read as a flag of its own.
 */
export function flags<P extends object>(params: P, names: Partial<Record<keyof P & string, string>>): string[] {
  const values = params as Readonly<Record<string, FlagValue>>
  return Object.entries<string | undefined>(names).flatMap(([param, name]) => flag(name ?? '', values[param]))
}

function flag(name: string, value: FlagValue): string[] {
  if (value === undefined || value === false) return []
  if (value === true) return [name]
  const text = String(value)
  return text.startsWith('-') ? [`${name}=${text}`] : [name, text]
}

/** What tootctl says last when nothing went wrong. */
export const OK = /^OK\b/m
