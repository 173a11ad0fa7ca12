import { shellLine, shellQuote } from '../../text.js'
import type { AppCommand } from '../backend.js'

/**
 * Runs the words between marks on standard output, the only stream that a dyno has: first what they print, then what
 * they say on standard error, then their code. A dyno's end is believed only with the last mark, for a connection that
 * is lost looks like one that is closed. Needs `sh` and coreutils.
 */
const SCRIPT = [
  'm=$1; shift; e=/tmp/$m; umask 077; echo "$m start"',
  '{ INPUT "$@"; r=$?; } 2>"$e"',
  'printf "\\n%s error\\n" "$m"; cat "$e"; rm -f "$e"',
  'printf "\\n%s end %s\\n" "$m" "$r"',
].join('; ')

/** The client turns bytes that are no UTF-8 into others, and how a dyno sees the end of input is not known. */
const INPUT = 'sed -n "/^$m eof\\$/q;p" | base64 -d |'

/** Returns the command as the one word that the CLI passes on unchanged (11.10: several words are put together anew). */
export function framedCommand(command: Pick<AppCommand, 'argv' | 'env' | 'stdin'>, mark: string): string {
  const script =
    command.stdin === undefined ? SCRIPT.replace('INPUT "$@"', '"$@" </dev/null') : SCRIPT.replace('INPUT', INPUT)
  return shellLine(['sh', '-c', script, 'mstdn-ops', mark, ...withVariables(command)])
}

/** Returns the words that run the command with its variables. */
export function withVariables({ argv, env = {} }: Pick<AppCommand, 'argv' | 'env'>): string[] {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  return variables.length === 0 ? [...argv] : ['env', ...variables, ...argv]
}

/** Returns the input in the form that the command expects: base64 in lines, and a line that ends it. */
export function framedInput(stdin: string, mark: string): string {
  const lines = Buffer.from(stdin).toString('base64').replace(/.{76}/g, '$&\n')
  return `${lines}\n${mark} eof\n`
}

/** What the marks tell. */
export interface Framed {
  started: boolean
  /** Absent when the end was not seen. */
  exitCode: number | undefined
  stdout: string
  stderr: string
}

/** Returns what stands between the marks. A pseudo-terminal would end lines with `\r\n`; there is none. */
export function readFramed(text: string, mark: string): Framed {
  const start = `${mark} start\n`
  const from = text.indexOf(start)
  if (from < 0) return { started: false, exitCode: undefined, stdout: '', stderr: '' }
  const body = text.slice(from + start.length)
  const error = body.indexOf(`\n${mark} error\n`)
  const end = new RegExp(`\\n${mark} end (\\d+)\\n`).exec(body)
  const stdout = body.slice(0, error < 0 ? undefined : error)
  if (error < 0 || !end) return { started: true, exitCode: undefined, stdout, stderr: '' }
  const stderr = body.slice(error + `\n${mark} error\n`.length, end.index)
  return { started: true, exitCode: Number(end[1]), stdout, stderr }
}

/** Returns a filter that hands on the command's own lines and keeps the marks, and what follows them, to itself. */
export function ownLines(mark: string, onLine: (line: string) => void): (line: string) => void {
  let within = false
  let empty = 0
  return line => {
    const isMark = line.startsWith(`${mark} `)
    if (within && line === '') empty += 1
    else {
      // A mark begins with a line break of its own.
      for (let left = isMark ? empty - 1 : empty; left > 0; left -= 1) onLine('')
      empty = 0
      if (isMark) within = line === `${mark} start`
      else if (within) onLine(line)
    }
  }
}

/** Returns the word that stands for a command by hand. */
export function oneWord(command: Pick<AppCommand, 'argv' | 'env'>): string {
  const { argv, env = {} } = command
  const variables = Object.entries(env).map(([name, value]) => `${name}=${shellQuote(value)}`)
  return [...variables, shellLine(argv)].join(' ')
}
