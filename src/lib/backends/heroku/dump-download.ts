import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf, RefusedError } from '../../errors.js'
import { printableLine } from '../../text.js'

/** With this begins what `pg_dump -Fc` writes (PostgreSQL 15, pg_backup_archiver.c). */
const MAGIC = Buffer.from('PGDMP')
const REDIRECTS = 5
/** Milliseconds in which something must come. */
const SILENCE_MS = 60_000

/**
 * Writes the dump behind an https URL to the stream and returns its size in bytes; the stream is ended.
 *
 * The CLI takes whatever comes for a dump (heroku 11.10.0, lib/pg/download.js): here the status counts, the first bytes
 * are looked at before any is handed on, and the length is compared with the one announced.
 *
 * @throws RefusedError when it is no dump or does not come whole; the stream is destroyed then. What the stream itself
 * fails with is passed on.
 */
export async function downloadDump(url: string, to: Writable): Promise<number> {
  const response = await opened(url, REDIRECTS).catch((error: unknown) => {
    to.destroy()
    throw error
  })
  const seen = { bytes: 0 }
  await pipeline(dumpIn(response, seen), to)
  return seen.bytes
}

async function* dumpIn(response: IncomingMessage, seen: { bytes: number }): AsyncGenerator<Buffer> {
  const told = response.headers['content-length']
  let held = Buffer.alloc(0)
  for await (const chunk of unbroken(response)) {
    const isKnown = seen.bytes >= MAGIC.length
    seen.bytes += chunk.length
    if (!isKnown) held = Buffer.concat([held, chunk])
    if (seen.bytes < MAGIC.length) continue
    if (!isKnown && !held.subarray(0, MAGIC.length).equals(MAGIC)) throw noDump(response)
    yield isKnown ? chunk : held
  }
  if (seen.bytes < MAGIC.length) throw noDump(response)
  if (told !== undefined && seen.bytes !== Number(told)) throw cut(`${seen.bytes} bytes of ${told} came`)
}

/** Yields what comes; a connection that breaks is told apart from a stream that takes nothing more. */
async function* unbroken(response: IncomingMessage): AsyncGenerator<Buffer> {
  const chunks = response[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { value, done } = await chunks.next().catch((error: unknown) => {
        throw cut(messageOf(error))
      })
      if (done) return
      yield value as Buffer
    }
  } finally {
    response.destroy()
  }
}

async function opened(url: string, redirects: number): Promise<IncomingMessage> {
  const response = await answerOf(url)
  const { statusCode = 0, headers } = response
  if (statusCode === 200) return response
  response.destroy()
  if (statusCode < 300 || statusCode >= 400 || headers.location === undefined)
    throw refused(url, `HTTP ${statusCode}, ${headers['content-type'] ?? 'without a type'}`)
  if (redirects === 0) throw refused(url, 'It leads from address to address.')
  return opened(new URL(headers.location, url).href, redirects - 1)
}

/** A dump holds private posts and the hashes of passwords: it never travels in the clear. */
function answerOf(url: string): Promise<IncomingMessage> {
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw refused(url, 'The address is none that is encrypted (https).')
  return new Promise((resolve, reject) => {
    const request = get(url, { headers: { 'User-Agent': 'mstdn-ops' }, timeout: SILENCE_MS }, resolve)
    request.on('timeout', () => request.destroy(new Error(`nothing came for ${SILENCE_MS / 1000} s`)))
    request.on('error', error => reject(refused(url, messageOf(error))))
  })
}

/** The address opens for whoever has it: only its host is shown. */
function refused(url: string, cause: string): RefusedError {
  const host = URL.canParse(url) ? new URL(url).host : 'the address that Heroku gave'
  return new RefusedError({
    code: 'download-refused',
    message: `The dump could not be had from ${printableLine(host)}.`,
    cause: printableLine(cause),
    next: 'Run the command again; see https://status.heroku.com when it stays so.',
  })
}

function noDump({ headers }: IncomingMessage): RefusedError {
  return new RefusedError({
    code: 'download-no-dump',
    message: 'What came in place of the dump is none.',
    cause: `It does not begin with PGDMP; it calls itself ${printableLine(headers['content-type'] ?? 'nothing')}.`,
    next: 'Run the command again; see https://status.heroku.com when it stays so.',
  })
}

function cut(cause: string): RefusedError {
  return new RefusedError({
    code: 'download-cut',
    message: 'The dump did not come whole.',
    cause: printableLine(cause),
    next: 'Run the command again: the backup itself stays on the platform.',
  })
}
