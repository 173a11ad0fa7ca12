import { fstatSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { messageOf, UsageError } from '../../errors.js'

/** No variable of Mastodon is longer; more is a mistake, like a pipe from the wrong file. */
const LONGEST = 64 * 1024

/** Where a value may come from. */
export interface ValueSource {
  file?: string
  interactive: boolean
}

/**
 * Returns the value that the operator gives: from the file, the pipe, or by a question. The last line's end does not
 * belong to it. Undefined when there is none.
 *
 * @throws UsageError when the file cannot be read or the value is too long.
 */
export async function givenValue(key: string, { file, interactive }: ValueSource): Promise<string | undefined> {
  const text = file === undefined ? await fromStdin(key, interactive) : await fromFile(file)
  const value = text?.replace(/\r?\n$/, '')
  return value === '' ? undefined : value
}

async function fromFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError({
      code: 'value-file',
      message: `The value could not be read from ${file}.`,
      cause: messageOf(error),
      next: 'Name a file that can be read, or pipe the value in.',
    })
  }
}

async function fromStdin(key: string, interactive: boolean): Promise<string | undefined> {
  if (interactive) return (await import('../../prompts.js')).askSecret(`Value of ${key}:`)
  if (!isPiped()) return undefined
  let text = ''
  for await (const part of process.stdin.setEncoding('utf8')) {
    text += part
    if (text.length > LONGEST) throw tooLong(key)
  }
  return text
}

/** A terminal that nobody watches, as under `--json`, is no pipe: reading it would wait for ever. */
function isPiped(): boolean {
  try {
    const stdin = fstatSync(0)
    return stdin.isFIFO() || stdin.isFile() || stdin.isSocket()
  } catch {
    return false
  }
}

function tooLong(key: string): UsageError {
  return new UsageError({
    code: 'value-too-long',
    message: `The value for ${key} is longer than ${LONGEST} characters.`,
  })
}

/* biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

/** Refuses a value that no env file holds: one variable is one line. */
export function assertWritable(key: string, value: string): void {
  if (!CONTROL.test(value)) return
  throw new UsageError({
    code: 'value-not-writable',
    message: `The value for ${key} has several lines or control characters: it cannot be kept in an env file.`,
    next: 'Give a value of one line. Is it the right file?',
  })
}
