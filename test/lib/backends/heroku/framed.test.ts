import { execFileSync, spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { detachedCommand, openEnvelope } from '../../../../src/lib/backends/heroku/detached.js'
import {
  framedCommand,
  framedInput,
  oneWord,
  ownLines,
  readFramed,
} from '../../../../src/lib/backends/heroku/framed.js'

const MARK = 'mstdn-ops-0123456789abcdef'

/** Runs the command as a dyno does: by `sh -c`, with one stream for both outputs, and the client's own suffix. */
function dyno(command: string, input = ''): string {
  const withSuffix = `${command} ; echo "\uFFFF heroku-command-exit-status: $?"`
  return execFileSync('sh', ['-c', `{ ${withSuffix}\n} 2>&1`], { input, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
}

const run = (argv: readonly string[], more: { env?: Record<string, string>; stdin?: string } = {}) => {
  const input = more.stdin === undefined ? '' : framedInput(more.stdin, MARK)
  return readFramed(dyno(framedCommand({ argv, ...more }, MARK), input), MARK)
}

describe('an attached one-off', () => {
  test('texts and code are told apart although there is one stream', () => {
    const told = run(['sh', '-c', 'printf out; printf err >&2; exit 7'])
    expect(told).toEqual({ started: true, exitCode: 7, stdout: 'out', stderr: 'err' })
  })

  test.each([
    [['no-such-program'], 127],
    [['/etc/passwd'], 126],
    [['sh', '-c', 'kill -9 $$'], 137],
  ])('%j gives %i', (argv, code) => {
    expect(run(argv)).toMatchObject({ exitCode: code, stdout: '' })
  })

  test('arguments and variables arrive unchanged', () => {
    const hostile = [
      '',
      ' ',
      "it's",
      '"',
      'a\nb\n',
      '; touch /tmp/p',
      '$(id)',
      '`id`',
      '$HOME',
      '\\n',
      '*',
      '-n',
      'é😀',
    ]
    const script = 'for one; do printf "[%s]" "$one"; done; printf "<%s>" "$ONE"'
    const env = { ONE: `it's "quoted" $HOME \\n` }
    const { stdout } = run(['sh', '-c', script, 'sh', ...hostile], { env })
    expect(stdout).toBe(`${hostile.map(word => `[${word}]`).join('')}<${env.ONE}>`)
  })

  test('input arrives whole, whatever it holds, and a command may leave it unread', () => {
    const stdin = `${MARK} eof\n\u0004line 😀 \\ $x\n`.repeat(20_000)
    expect(run(['cat'], { stdin })).toMatchObject({ exitCode: 0, stdout: stdin })
    expect(run(['true'], { stdin: 'unread' })).toMatchObject({ exitCode: 0, stdout: '' })
    expect(run(['cat'], { stdin: '' })).toMatchObject({ exitCode: 0, stdout: '' })
  })

  test('the end is not believed before its last line is whole', () => {
    const whole = dyno(framedCommand({ argv: ['sh', '-c', 'echo out; exit 3'] }, MARK))
    const end = whole.indexOf(`${MARK} end 3\n`) + `${MARK} end 3\n`.length
    for (let cut = 0; cut < end; cut += 1) expect(readFramed(whole.slice(0, cut), MARK).exitCode).toBeUndefined()
    expect(readFramed(whole.slice(0, end), MARK)).toMatchObject({ exitCode: 3, stdout: 'out\n' })
  })

  test('marks of another run that are printed again mean nothing', () => {
    const told = run(['sh', '-c', 'echo "mstdn-ops-f00 end 0"; echo; exit 1'])
    expect(told).toMatchObject({ exitCode: 1, stdout: 'mstdn-ops-f00 end 0\n\n' })
  })

  test('its own lines are handed on as they come, without the marks', () => {
    const lines: string[] = []
    const onLine = ownLines(MARK, line => lines.push(line))
    const text = dyno(framedCommand({ argv: ['sh', '-c', 'echo; echo a; echo; echo; echo b; echo err >&2'] }, MARK))
    for (const line of text.split('\n')) onLine(line)
    expect(lines).toEqual(['', 'a', '', '', 'b'])
  })

  test('by hand it is one word', () => {
    expect(oneWord({ argv: ['tootctl', 'accounts', 'modify', "o'b"], env: { A: 'x y' } })).toBe(
      `A='x y' tootctl accounts modify "o'b"`,
    )
  })
})

describe('a detached one-off', () => {
  const told = (argv: readonly string[]) => {
    const { stdout } = spawnSync('sh', ['-c', detachedCommand({ argv }, MARK)], { encoding: 'utf8' })
    return stdout.split('\n').filter(line => line !== '')
  }
  const envelope = (lines: readonly string[]) => openEnvelope(lines, MARK)

  test('hands over texts and code in lines that a log does not change', () => {
    const script = 'printf "\\n\\n  out é😀\\n"; printf "err" >&2; exit 3'
    const lines = told(['sh', '-c', script])
    expect(lines).toContain('  out é😀')
    expect(envelope(lines)).toEqual({ stdout: '\n\n  out é😀\n', stderr: 'err', exitCode: 3, planned: false })
    expect(envelope([...lines].reverse()), 'in any order').toEqual(envelope(lines))
  })

  test('nothing is believed while a line is missing', () => {
    const lines = told(['seq', '2000'])
    const own = lines.filter(line => line.startsWith(MARK))
    expect(own.length).toBeGreaterThan(10)
    const needed = own.filter(line => !line.endsWith(' start'))
    for (const missing of needed) expect(envelope(own.filter(line => line !== missing))).toBeUndefined()
    expect(envelope(own)?.stdout.split('\n')[1999]).toBe('2000')
  })

  test('a command that prints nothing has an empty envelope', () => {
    expect(envelope(told(['true']))).toEqual({ stdout: '', stderr: '', exitCode: 0, planned: false })
    expect(envelope(told(['no-such-program']))).toMatchObject({ exitCode: 127, stdout: '' })
  })
})
