import { PassThrough, pipeline, Readable } from 'node:stream'
import * as zlib from 'node:zlib'
import { messageOf, OperatorError } from '../../errors.js'
import { type Channel, programIsMissing, type Runner } from '../../runner.js'
import { cut, damaged, unfit } from './problems.js'
import type { DumpSource } from './source.js'

/** What stands around a dump. */
export type Packing = 'none' | 'gzip' | 'zstd'

/** Node has it from 22.15 on. */
const { createZstdDecompress } = zlib as unknown as { createZstdDecompress?: () => NodeJS.ReadWriteStream }

/**
 * Returns the source of what is packed.
 *
 * Its stream fails with a RefusedError where the packed bytes are cut or damaged, as far as their checksum tells, and
 * where zstd is needed and neither this Node nor the machine has it.
 */
export function unpacked(source: DumpSource, packing: Packing, runner: Runner): DumpSource {
  if (packing === 'none') return source
  const { path } = source
  const open = async () => {
    const bytes = await source.open()
    return Readable.from(
      told(path, packing === 'gzip' ? through(bytes, zlib.createGunzip()) : unzstd(path, bytes, runner)),
    )
  }
  return { path, open }
}

function through(bytes: Readable, transform: NodeJS.ReadWriteStream): Readable {
  return pipeline(bytes, transform, new PassThrough(), () => undefined)
}

function unzstd(path: string, bytes: Readable, runner: Runner): AsyncIterable<Buffer> {
  return createZstdDecompress ? through(bytes, createZstdDecompress()) : byProgram(path, bytes, runner)
}

/** The program writes and checks a checksum of the content by itself. */
async function* byProgram(path: string, bytes: Readable, runner: Runner): AsyncGenerator<Buffer> {
  const channel = await runner.open({ file: 'zstd', args: ['-dcq'], effect: 'read' })
  const said = textOf(channel.stderr)
  let broken: Error | undefined
  bytes.once('error', error => {
    broken = error
    channel.stdin.end()
  })
  bytes.pipe(channel.stdin)
  try {
    yield* channel.stdout
    await mustEndWell(path, channel, said)
    if (broken) throw broken
  } finally {
    bytes.destroy()
    channel.kill()
  }
}

async function mustEndWell(path: string, channel: Channel, said: Promise<string>): Promise<void> {
  const code = await channel.ended.catch(error => {
    throw programIsMissing(error) ? noZstd(path) : error
  })
  if (code === 0) return
  const text = (await said).trim()
  throw /unexpected end|premature|truncated|incomplete/i.test(text)
    ? cut(path, `zstd says: ${text}`)
    : damaged(path, `zstd says: ${text || `exit code ${code}`}`)
}

async function textOf(stream: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stream) text = (text + chunk).slice(-2000)
  return text
}

/** Passes the bytes on, and tells what a failure means for the operator. */
async function* told(path: string, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* bytes
  } catch (error) {
    if (error instanceof OperatorError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'Z_BUF_ERROR') throw cut(path, 'The compressed data end too early.')
    if (code?.startsWith('Z_') || code?.startsWith('ZSTD'))
      throw damaged(path, `It cannot be unpacked: ${messageOf(error)}.`)
    throw error
  }
}

function noZstd(path: string): OperatorError {
  return unfit(path, {
    code: 'zstd-missing',
    is: 'is compressed with zstd, which is not installed here',
    next: 'Install zstd (Debian: apt-get install zstd), then run the command again.',
  })
}
