import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { type LogLevel, Output } from '../../src/lib/output.js'

function captured(options: { quiet?: boolean; logLevel?: LogLevel } = {}) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const output = new Output({
    ...options,
    stdout: stdout as unknown as NodeJS.WriteStream,
    stderr: stderr as unknown as NodeJS.WriteStream,
  })
  const read = (stream: PassThrough) => String(stream.read() ?? '')
  return { output, stdout: () => read(stdout), stderr: () => read(stderr), streams: { stdout, stderr } }
}

describe('Output', () => {
  it('sends results to stdout and everything else to stderr', () => {
    const { output, stdout, stderr } = captured()
    output.result('the answer')
    output.info('working')
    output.error('Error: no')
    expect(stdout()).toBe('the answer\n')
    expect(stderr()).toBe('working\nError: no\n')
  })

  it.each([
    ['error', 'E\n'],
    ['warn', 'W\nE\n'],
    ['info', 'I\nW\nE\n'],
    ['debug', 'D\nI\nW\nE\n'],
  ] as const)('says at level %s what belongs to it', (logLevel, expected) => {
    const { output, stderr } = captured({ logLevel })
    output.debug('D')
    output.info('I')
    output.warn('W')
    output.error('E')
    expect(stderr()).toBe(expected)
  })

  it('is silent under --quiet but for what is wrong', () => {
    const { output, stderr } = captured({ quiet: true })
    output.info('working')
    output.warn('nearly full')
    expect(stderr()).toBe('nearly full\n')
  })

  it('lets neither secrets nor control characters through', () => {
    const { output, stdout, stderr } = captured()
    output.redactor.add('DB_PASS', 'hunter2-hunter2')
    output.result('\u001b]0;title\u0007 hunter2-hunter2')
    output.error('hunter2-hunter2\u202e')
    expect(stdout()).toBe('\\u{1b}]0;title\\u{7} [DB_PASS]\n')
    expect(stderr()).toBe('[DB_PASS]\\u{202e}\n')
  })

  it('goes on when the reader has gone', () => {
    const { output, streams } = captured()
    streams.stdout.destroy()
    expect(() => output.result('lost')).not.toThrow()
  })

  it('copies what is said, at every level, to the log of the run', () => {
    const { output } = captured({ logLevel: 'error' })
    const log: string[] = []
    output.copyTo(line => log.push(line))
    output.debug('detail')
    output.info('step')
    expect(log).toEqual(['detail', 'step'])
  })
})
