import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { AppCommand } from '../../src/lib/backends/backend.js'
import { facetOf, startDoomed } from './subject.js'
import type { Now } from './suite.js'

/** Arguments that a careless way through a shell or a wire would change. */
const ARGUMENTS = [
  '',
  ' ',
  'two  spaces',
  `it's`,
  '"double"',
  'a\nb\n',
  '; touch /tmp/p',
  '$(id)',
  '`id`',
  '$HOME',
  '\\n',
  '*',
  '-n',
  '--help',
  'é😀',
  '\t|&<>',
]

/** Prints each argument between fences, without adding a line break. */
const FENCED = 'for one; do printf "[%s]" "$one"; done'

/** One-off processes in the app's environment. */
export function oneOffContract(now: Now): void {
  const run = (argv: readonly string[], more: Partial<AppCommand> = {}) =>
    facetOf(now().backend, 'oneOff').run({ argv, effect: 'write', ...more })

  test.each([false, true])('texts and code are kept apart; fresh: %s', { timeout: 60_000 }, async fresh => {
    const outcome = await run(['sh', '-c', 'printf out; printf err >&2; exit 7'], { fresh })
    expect(outcome).toEqual({ stdout: 'out', stderr: 'err', exitCode: 7, planned: false })
  })

  test.each([0, 3, 7, 126, 127, 137])('the code %i is handed on', async code => {
    expect(await run(['sh', '-c', `exit ${code}`])).toMatchObject({ exitCode: code })
  })

  test('a program that is missing gives 127, one that may not run 126, one that was killed 137', async () => {
    const none = await run(['no-such-program'])
    const notAllowed = await run(['/etc/passwd'])
    const killed = await run(['sh', '-c', 'kill -9 $$'])
    expect([none.exitCode, notAllowed.exitCode, killed.exitCode]).toEqual([127, 126, 137])
    expect(none.stderr).toContain('no-such-program')
  })

  test.each([false, true])('arguments arrive unchanged; fresh: %s', { timeout: 60_000 }, async fresh => {
    const { stdout } = await run(['sh', '-c', FENCED, 'sh', ...ARGUMENTS], { fresh })
    expect(stdout).toBe(ARGUMENTS.map(argument => `[${argument}]`).join(''))
  })

  test.each([false, true])('variables arrive unchanged; fresh: %s', { timeout: 60_000 }, async fresh => {
    const env = { ONE: `it's "quoted" $HOME \\n`, TWO: '  spaces ; and # more = ', THREE: '', FOUR: 'é😀' }
    const { stdout } = await run(['sh', '-c', 'printf "[%s]" "$ONE" "$TWO" "$THREE" "$FOUR"'], { env, fresh })
    expect(stdout).toBe(
      Object.values(env)
        .map(text => `[${text}]`)
        .join(''),
    )
  })

  test.each([false, true])('standard input arrives whole; fresh: %s', { timeout: 60_000 }, async fresh => {
    const stdin = `${'line 😀 \\ $x "\'\n'.repeat(100_000)}no newline at the end`
    const { stdout, exitCode } = await run(['cat'], { stdin, fresh })
    expect(exitCode).toBe(0)
    expect(stdout === stdin).toBe(true)
  })

  test('200,000 lines are complete, as a text and line by line', { timeout: 60_000 }, async () => {
    const expected = Array.from({ length: 200_000 }, (_, at) => `😀é${at + 1}`)
    const lines: string[] = []
    const argv = ['sh', '-c', 'seq -f "😀é%.0f" 200000']
    const { stdout } = await run(argv, { onLine: line => lines.push(line) })
    expect(stdout === `${expected.join('\n')}\n`).toBe(true)
    expect(lines.length).toBe(expected.length)
    expect(lines.findIndex((line, at) => line !== expected[at])).toBe(-1)
  })

  test('a long one-off keeps texts, code and arguments as a short one does', { timeout: 60_000 }, async () => {
    const argv = ['sh', '-c', `${FENCED}; printf err >&2; exit 3`, 'sh', ...ARGUMENTS]
    const outcome = await run(argv, { longKey: `contract-${Date.now()}-kept` })
    expect(outcome).toEqual({
      stdout: ARGUMENTS.map(argument => `[${argument}]`).join(''),
      stderr: 'err',
      exitCode: 3,
      planned: false,
    })
  })

  test('a long one-off outlives its caller, is found again and does not run twice', { timeout: 90_000 }, async () => {
    const longKey = `contract-${Date.now()}-found`
    // Only one process can have started at that time with that id.
    const argv = ['sh', '-c', 'echo "$(date +%s%N) $$"; sleep 6; echo over; exit 5']
    const doomed = startDoomed(now(), ['oneOff', longKey, ...argv])
    const mark = await doomed.firstLine
    await doomed.kill()
    await sleep(500)
    expect(await run(argv, { longKey })).toMatchObject({ stdout: `${mark}\nover\n`, exitCode: 5 })
    const again = await run(argv.with(2, 'echo anew'), { longKey })
    expect(again.stdout, 'once read, the key is free').toBe('anew\n')
  })

  test('a file that is written outlives its process, unless it is said to be lost', { timeout: 60_000 }, async () => {
    const path = `/tmp/contract-${Date.now()}`
    await run(['touch', path])
    const { exitCode } = await run(['test', '-e', path])
    await run(['rm', '-f', path])
    expect(exitCode).toBe(facetOf(now().backend, 'oneOff').losesFiles === undefined ? 0 : 1)
  })

  test('the end of a long one-off can be waited for without reading it, and its key is free then', {
    timeout: 90_000,
  }, async () => {
    const longKey = `contract-${Date.now()}-over`
    const oneOff = facetOf(now().backend, 'oneOff')
    await oneOff.untilOver(longKey)
    const doomed = startDoomed(now(), ['oneOff', longKey, 'sh', '-c', 'date +%s; sleep 5'])
    const began = Number(await doomed.firstLine)
    await doomed.kill()
    await oneOff.untilOver(longKey)
    expect(Date.now() / 1000 - began).toBeGreaterThanOrEqual(5)
    expect(await run(['echo', 'anew'], { longKey })).toMatchObject({ stdout: 'anew\n', exitCode: 0 })
  })

  test('what an operator would type names the command', () => {
    const line = facetOf(now().backend, 'oneOff').byHand({ argv: ['bin/tootctl', 'version'], effect: 'read' })
    expect(line).toContain('bin/tootctl version')
  })
}
