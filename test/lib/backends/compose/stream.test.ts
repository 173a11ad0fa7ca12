import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { ChannelStream } from '../../../../src/lib/backends/compose/stream.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { withSecondTry } from '../../../../src/lib/postgres/stream.js'
import { type Channel, Runner } from '../../../../src/lib/runner.js'

/** A relay's process whose end the test decides. */
function relay() {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  const killed: string[] = []
  let end: (code: number) => void = () => undefined
  const ended = new Promise<number>(resolve => {
    end = resolve
  })
  const channel: Channel = { ...streams, ended, kill: (signal = 'SIGTERM') => killed.push(signal) }
  return { ...streams, killed, end, stream: new ChannelStream(channel, 'PostgreSQL in service db') }
}

function failureOf(stream: ChannelStream): Promise<Error & { why?: string }> {
  return new Promise(resolve => stream.once('error', resolve))
}

test('bytes go both ways unchanged', async () => {
  const { stdin, stdout, stream } = relay()
  const all = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
  stream.write(all)
  stdout.write(all)
  const [there, back] = await Promise.all([stdin, stream].map(one => new Promise(resolve => one.once('data', resolve))))
  expect([there, back]).toEqual([all, all])
})

test('it is connected from the start', async () => {
  const { stream } = relay()
  expect(stream.connecting).toBe(false)
  await new Promise(resolve => stream.connect().once('connect', resolve))
})

test('the engine’s complaint on standard output is no answer of the server', async () => {
  const { stdout, stream } = relay()
  const failure = failureOf(stream)
  stdout.write('OCI runtime exec failed: exec: "bash": executable file not found in $PATH: unknown')
  expect(await failure).toMatchObject({ code: 'no-connection', message: 'No connection to PostgreSQL in service db.' })
})

test('a relay that ends before any answer says why', async () => {
  const { stderr, end, stream } = relay()
  const failure = failureOf(stream)
  stderr.write('bash: connect: Connection refused\n')
  setImmediate(() => end(1))
  expect((await failure).why).toBe('bash: connect: Connection refused')
})

test('a relay that ends in the middle is a lost connection', async () => {
  const { stdout, end, stream } = relay()
  const failure = failureOf(stream)
  stream.once('data', () => end(137))
  stdout.write('S')
  expect(await failure).toMatchObject({ code: 'ECONNRESET' })
})

test('our own end is no failure, and closes the relay’s input', async () => {
  const { stdin, end, stream } = relay()
  stream.resume()
  stream.end('X')
  stdin.resume()
  await new Promise(resolve => stdin.once('end', resolve))
  end(143)
  await new Promise(resolve => stream.once('close', resolve))
  expect(stream.errored).toBeNull()
})

test('giving up ends the client process at once', async () => {
  const { killed, stream } = relay()
  stream.destroy()
  await new Promise(resolve => stream.once('close', resolve))
  expect(killed).toEqual(['SIGKILL'])
})

test.each([
  ['nothing more is said to it', false],
  ['something is said to it afterwards', true],
])('a server that closes the connection closes the stream, where %s', async (_, isWritten) => {
  const runner = new Runner({ output: new Output({ quiet: true }), ledger: new Ledger() })
  const channel = await runner.open({ file: 'sh', args: ['-c', 'echo an answer'], effect: 'read' })
  const stream = new ChannelStream(channel, 'PostgreSQL in service db')
  const closed = new Promise(resolve => stream.once('close', resolve))
  stream.resume()
  if (isWritten) channel.ended.then(() => stream.write('too late'))
  await closed
  expect(stream.errored).toBeNull()
})

test('a relay that the engine failed to start is started once more, and no other', async () => {
  const busy =
    'OCI runtime exec failed: exec failed: unable to start container process: read init-p: connection reset by peer: unknown'
  const tries = async (complaint: string) => {
    let count = 0
    const failure = withSecondTry(async () => {
      count += 1
      const { stdout, stream } = relay()
      const failed = failureOf(stream)
      stdout.write(complaint)
      throw await failed
    })
    await expect(failure).rejects.toThrow('No connection to PostgreSQL in service db.')
    return count
  }
  expect(await tries(busy)).toBe(2)
  expect(await tries('OCI runtime exec failed: exec: "bash": executable file not found in $PATH: unknown')).toBe(1)
})
