import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { believed, marked, readMarkers } from '../../../src/lib/backends/marked.js'

const NONCE = 'mstdn-ops-0123'

function run(...argv: string[]) {
  const [file = '', ...args] = marked(argv, NONCE)
  const { stdout, stderr, status } = spawnSync(file, args, { encoding: 'utf8' })
  return { stdout, stderr, exitCode: status ?? 1, planned: false }
}

describe('a marked command', () => {
  test.each([
    ['ends well', ['true'], 0, ''],
    ['fails', ['sh', '-c', 'echo no >&2; exit 3'], 3, 'no\n'],
    ['leaves its last line open', ['sh', '-c', 'printf no >&2'], 0, 'no'],
    ['is killed', ['sh', '-c', 'kill -9 $$'], 137, expect.stringMatching(/^(Killed\n)?$/)],
    ['prints what looks like a marker', ['sh', '-c', `echo 'other end 0' >&2; exit 9`], 9, 'other end 0\n'],
  ])('that %s tells its own code and text', (_, argv, exitCode, stderr) => {
    expect(believed(run(...argv), NONCE, 'it', 'write')).toMatchObject({ exitCode, stderr })
  })

  test('that does not exist ends with 127', () => {
    expect(believed(run('/no/such'), NONCE, 'it', 'write').exitCode).toBe(127)
  })

  test('gets its words as they are', () => {
    const hostile = ['x; touch /tmp/p', '$(id)', `'"`, 'a\nb', '\u001b[2J', '\u202e', '-n', '*']
    expect(
      run('printf', '%s\\0', ...hostile)
        .stdout.split('\0')
        .slice(0, -1),
    ).toEqual(hostile)
  })

  test('is found between the messages of the client', () => {
    const stderr = ` Container db  Running\n${NONCE} start\nown\n\n${NONCE} end 4\nclient says goodbye\n`
    expect(readMarkers(stderr, NONCE)).toEqual({ started: true, exitCode: 4, stderr: 'own\n' })
  })
})

describe('without an end marker', () => {
  const outcome = (stderr: string, stdout = '', exitCode = 0) => ({ stdout, stderr, exitCode, planned: false })

  test('a write is unknown, also with code 0', () => {
    expect(() => believed(outcome(`${NONCE} start\n`), NONCE, 'the write', 'write')).toThrow(
      expect.objectContaining({ exitCode: 8, message: 'The end of the write was not seen.' }),
    )
  })

  test('a read is refused', () => {
    expect(() => believed(outcome(''), NONCE, 'the read', 'read')).toThrow(expect.objectContaining({ exitCode: 3 }))
  })

  test('what never started is refused, also as a write', () => {
    const text = 'OCI runtime exec failed: exec failed: container_linux.go:380: executable file not found in $PATH'
    expect(() => believed(outcome('', text, 126), NONCE, 'the write', 'write')).toThrow(
      expect.objectContaining({ code: 'one-off-not-started', why: text }),
    )
  })

  test('what started is never called not started', () => {
    expect(() => believed(outcome(`${NONCE} start\nNo such container`), NONCE, 'it', 'write')).toThrow(
      expect.objectContaining({ exitCode: 8 }),
    )
  })
})
