import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { leashedContainer } from '../../../src/lib/backends/tool-run.js'
import { Ledger } from '../../../src/lib/ledger.js'
import { Output } from '../../../src/lib/output.js'
import { type Channel, Runner } from '../../../src/lib/runner.js'
import { localPlace } from '../../support/local-place.js'

test('what a script printed is there for who comes late to read it', async () => {
  const run = await localPlace().open({ what: 'printf', script: 'printf "%s" "$1"', args: ['kept'], effect: 'read' })
  expect(await run.ended).toMatchObject({ exitCode: 0, stderr: '' })
  await sleep(50)
  expect(await text(run.stdout)).toBe('kept')
})

test('more than the streams hold waits for its reader, and none of it is lost', async () => {
  const run = await localPlace().open({ what: 'head', script: 'head -c 3000000 /dev/zero', effect: 'read' })
  await sleep(200)
  let bytes = 0
  for await (const chunk of run.stdout) bytes += chunk.length
  expect({ bytes, ...(await run.ended) }).toMatchObject({ bytes: 3_000_000, exitCode: 0 })
})

test('scripts that end at once all end, however late their watchers start', async () => {
  const place = localPlace()
  const many = Array.from({ length: 60 }, () => place.open({ what: 'true', script: 'true', effect: 'read' }))
  const ended = await Promise.all((await Promise.all(many)).map(run => run.ended))
  expect(ended.every(({ exitCode }) => exitCode === 0)).toBe(true)
})

test('a script complains in English, whatever language the operator speaks', async () => {
  for (const fed of [false, true]) {
    const run = await localPlace().open({ what: 'printf', script: 'printf "%s" "$LC_ALL"', effect: 'read', fed })
    if (fed) run.stdin.end()
    expect(await text(run.stdout)).toBe('C')
  }
})

/** What the first process of a leashed container does, as the shell of this machine does it. */
function asContainer(script: string): Promise<Channel> {
  const [file = '', ...args] = leashedContainer(['sh', '-c', script])
  return new Runner({ output: new Output(), ledger: new Ledger() }).open({ file, args, effect: 'write' })
}

test('a container on a leash ends as its program does, with its words and its code', async () => {
  const channel = await asContainer('cat; echo said; exit 5')
  expect(await text(channel.stdout)).toBe('said\n')
  expect(await channel.ended).toBe(5)
})

test('a container on a leash ends when its input does, and lets its program end by itself', async () => {
  const channel = await asContainer('trap "echo over; exit 3" TERM; echo begun; while :; do sleep 0.05; done')
  let said = ''
  channel.stdout.on('data', chunk => {
    said += chunk
  })
  await expect.poll(() => said, { timeout: 10_000 }).toBe('begun\n')
  channel.stdin.end()
  expect(await channel.ended).toBe(3)
  expect(said).toBe('begun\nover\n')
})
