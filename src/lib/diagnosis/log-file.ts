import { createReadStream } from 'node:fs'
import { messageOf, UsageError } from '../errors.js'
import { grouped, plural } from '../text.js'
import { scanLog } from './scan.js'
import type { Tally } from './tally.js'

/**
 * Reads a log file, or standard input where it is called `-`, and returns what was read, for people.
 *
 * @throws UsageError when it cannot be read.
 */
export async function readLog(path: string, tally: Tally): Promise<string> {
  const [log, name] = path === '-' ? [process.stdin, 'standard input'] : [createReadStream(path), path]
  try {
    const { lines } = await scanLog(log, name, tally)
    return `${name} (${lines === 1 ? plural(1, 'line') : `${grouped(lines)} lines`})`
  } catch (error) {
    throw new UsageError({
      code: 'log-unreadable',
      message: `The log ${name} cannot be read.`,
      cause: messageOf(error),
      next: 'Name a file that you may read, or - for standard input.',
    })
  }
}
