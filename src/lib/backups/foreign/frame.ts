import { DumpProblem } from './dump-problem.js'
import { PartOfDump } from './part.js'

const DUMP = '-- PostgreSQL database dump'
const CLUSTER = '-- PostgreSQL database cluster dump'
const COMPLETE = ' complete'

/**
 * What holds a dump together: its first and last lines, the databases in between, and the keys of `\restrict`.
 *
 * Source: PostgreSQL, src/bin/pg_dump/pg_backup_archiver.c and pg_dumpall.c. The last lines are written only when all
 * else was: a dump without them was cut off.
 */
export class Frame {
  readonly parts: PartOfDump[] = []
  readonly #cluster: boolean
  #part: PartOfDump | undefined
  #state: 'before' | 'dump' | 'between' | 'closed' = 'before'
  #key: string | undefined

  constructor(cluster: boolean) {
    this.#cluster = cluster
  }

  /** Returns the database that a statement belongs to; undefined where it is the server's. */
  part(): PartOfDump | undefined {
    const over = this.#state === 'closed' || (!this.#cluster && this.#state !== 'dump')
    if (over) throw new DumpProblem('damaged', 'SQL stands outside of the dump.')
    if (this.#part?.complete) throw new DumpProblem('damaged', 'SQL stands after the end of its database.')
    return this.#part
  }

  comment(text: string): void {
    if (text === DUMP) this.#begin()
    else if (text === DUMP + COMPLETE) this.#complete()
    else if (text === CLUSTER) this.#beginCluster()
    else if (text === CLUSTER + COMPLETE) this.#completeCluster()
  }

  /** What follows belongs to this database. */
  connect(database: string): void {
    const known = this.parts.find(part => part.database === database)
    if (known?.complete || this.#state === 'closed') throw new DumpProblem('damaged', 'a database comes a second time.')
    this.#part = known ?? this.#add(database)
  }

  /**
   * Takes the commands of pg_dump that are not handed on, and returns false for any other: `\restrict` and
   * `\unrestrict`, with which newer versions keep psql from commands, and `\encoding` before the name of a database.
   */
  dropped(command: string): boolean {
    return command === '\\encoding SQL_ASCII' || this.#restriction(command)
  }

  #restriction(command: string): boolean {
    const [, verb, key] = /^\\((?:un)?restrict) ([A-Za-z0-9]+)$/.exec(command) ?? []
    if (verb === undefined) return false
    if (this.#key !== (verb === 'restrict' ? undefined : key))
      throw new DumpProblem('damaged', `its ${verb} fits none.`)
    this.#key = verb === 'restrict' ? key : undefined
    return true
  }

  /** @throws DumpProblem where a last line is missing. */
  mustBeClosed(): void {
    if (this.#state !== 'closed') throw new DumpProblem('cut', 'its last line ("dump complete") is missing.')
    if (this.#key !== undefined) throw new DumpProblem('cut', 'its last line (\\unrestrict) is missing.')
  }

  #begin(): void {
    if (this.#state === 'dump') throw new DumpProblem('damaged', 'a dump begins inside of another.')
    if (this.#state === 'closed') throw new DumpProblem('strange', 'a second dump follows.')
    if (this.#cluster && this.#state === 'before') throw new DumpProblem('damaged', 'the first line is missing.')
    this.#state = 'dump'
    if (!this.#cluster) this.#part = this.#add(undefined)
    else if (this.#part?.complete) this.#part = undefined
  }

  #complete(): void {
    if (this.#state !== 'dump') throw new DumpProblem('damaged', 'a dump ends that did not begin.')
    this.#state = this.#cluster ? 'between' : 'closed'
    if (this.#part) this.#part.complete = true
  }

  #beginCluster(): void {
    if (!this.#cluster || this.#state !== 'before') throw new DumpProblem('strange', 'a second dump follows.')
    this.#state = 'between'
  }

  #completeCluster(): void {
    if (!this.#cluster || this.#state !== 'between') throw new DumpProblem('damaged', 'a dump ends that did not begin.')
    this.#state = 'closed'
  }

  #add(database: string | undefined): PartOfDump {
    const part = new PartOfDump(database)
    this.parts.push(part)
    return part
  }
}

/** How pg_dump writes a name: bare, quoted, or in a connection string where it has other letters than these. */
const CONNECT =
  /^\\connect (?:([a-z_][a-z0-9_]*)|"([A-Za-z0-9_.]+)"|-reuse-previous=on "dbname='((?:[^"'\\]|""|\\['\\])*)'")$/

/** Returns the database that a `\connect` of pg_dump names, or undefined for any other command. */
export function connectedTo(command: string): string | undefined {
  const [, plain, quoted, odd] = CONNECT.exec(command) ?? []
  return plain ?? quoted ?? odd?.replaceAll('""', '"').replace(/\\(.)/g, '$1')
}
