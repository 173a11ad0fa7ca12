import { expect, test } from 'vitest'
import { SharedLook } from '../../../../src/lib/backends/compose/shared-look.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { Runner } from '../../../../src/lib/runner.js'

function counted(answer: (look: number) => Promise<number> = async look => look) {
  const runner = new Runner({ output: new Output(), ledger: new Ledger() })
  let looks = 0
  return { runner, look: new SharedLook(runner, () => answer(++looks)) }
}

test('those who ask at the same time and shortly after share one look', async () => {
  const { look } = counted()
  expect(await Promise.all([look.get(), look.get()])).toEqual([1, 1])
  expect(await look.get()).toBe(1)
})

test('after a while it looks again', async () => {
  const { look } = counted()
  await look.get()
  await new Promise(resolve => setTimeout(resolve, 450))
  expect(await look.get()).toBe(2)
})

test('a read keeps a look, a change makes it stale, also one that is under way', async () => {
  const { runner, look } = counted()
  await look.get()
  await runner.run({ file: 'true', args: [], effect: 'read' })
  expect(await look.get()).toBe(1)
  const change = runner.run({ file: 'sleep', args: ['0.1'], effect: 'write' })
  expect(await look.get()).toBe(2)
  await change
  expect(await look.get()).toBe(3)
})

test('a look that failed is not kept', async () => {
  const { look } = counted(async number => {
    if (number === 1) throw new Error('away')
    return number
  })
  await expect(look.get()).rejects.toThrow('away')
  expect(await look.get()).toBe(2)
})
