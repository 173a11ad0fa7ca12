import { describe, expect, it, test } from 'vitest'
import type { Formation, ProcessSize } from '../../../../src/lib/backends/backend.js'
import { OutcomeUnknownError, RefusedError, UsageError } from '../../../../src/lib/errors.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import { amountsIn } from '../../../../src/lib/runbooks/scale/amounts.js'
import { scale, sizesText } from '../../../../src/lib/runbooks/scale/scale.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

/** A platform that scales; `trouble` happens once, at the first change. */
class Platform implements Formation {
  readonly asked: string[] = []
  readonly amounts: Record<string, number> = { web: 1, worker: 2 }
  readonly #trouble: 'lost before' | 'lost after' | 'fails half' | undefined

  constructor(trouble?: 'lost before' | 'lost after' | 'fails half') {
    this.#trouble = trouble
  }

  async sizes(): Promise<ProcessSize[]> {
    return Object.entries(this.amounts).map(([name, quantity]) => ({ name, quantity, size: 'Basic' }))
  }

  async scale(sizes: readonly { name: string; quantity: number }[]): Promise<void> {
    this.asked.push(sizes.map(({ name, quantity }) => `${name}=${quantity}`).join(' '))
    const trouble = this.asked.length === 1 ? this.#trouble : undefined
    if (trouble === 'lost before') throw new OutcomeUnknownError({ code: 'lost', message: 'The connection was lost.' })
    for (const { name, quantity } of trouble === 'fails half' ? sizes.slice(0, 1) : sizes) this.amounts[name] = quantity
    if (trouble === 'lost after') throw new OutcomeUnknownError({ code: 'lost', message: 'The connection was lost.' })
    if (trouble === 'fails half') throw new RefusedError({ code: 'failed', message: 'It was made to fail.' })
  }
}

ownState()

const PROCESSES = [
  { role: 'web', name: 'web', id: 'web.1' },
  { role: 'sidekiq', name: 'worker', id: 'worker.1' },
] as const

const scaled = (formation: Formation, ...words: string[]) =>
  runRunbook(toolboxOf({ processes: [...PROCESSES], formation }), scale, { amounts: amountsIn(words) }, { pauseMs: 0 })

describe('scale', () => {
  it('changes what is asked for, and nothing else', async () => {
    const platform = new Platform()
    const { result } = await scaled(platform, 'web=3')
    expect(result).toMatchObject({ changed: true, stops: [] })
    expect(sizesText(result?.sizes ?? [])).toBe('web=3 Basic, worker=2 Basic')
    expect(platform.asked).toEqual(['web=3'])
  })

  it('has nothing to do where as many run', async () => {
    const platform = new Platform()
    expect(await scaled(platform, 'web=1', 'worker=2')).toMatchObject({ result: { changed: false } })
    expect(platform.asked).toEqual([])
  })

  it.each([
    ['web=0', 'nobody reaches the site'],
    ['worker=0', 'no post is delivered'],
  ])('%s says what stops', async (word, said) => {
    const { result } = await scaled(new Platform(), word)
    expect(result?.stops).toEqual([expect.stringContaining(said)])
  })

  it('restores the former amounts when it fails half-way', async () => {
    const platform = new Platform('fails half')
    await expect(scaled(platform, 'web=3', 'worker=4')).rejects.toMatchObject({ exitCode: 4 })
    expect(platform.amounts).toEqual({ web: 1, worker: 2 })
    expect(platform.asked).toEqual(['web=3 worker=4', 'web=1 worker=2'])
  })

  it('looks when the connection was lost', async () => {
    expect(await scaled(new Platform('lost after'), 'web=2')).toMatchObject({ result: { changed: true } })
    const platform = new Platform('lost before')
    await expect(scaled(platform, 'web=2')).rejects.toMatchObject({ exitCode: 4 })
    expect(platform.asked).toEqual(['web=2'])
  })

  it('refuses an unknown type by naming those that there are', async () => {
    const unknown = scaled(new Platform(), 'web=2', 'clock=1', 'release=1')
    await expect(unknown).rejects.toMatchObject({
      ...{ exitCode: 3, message: 'There is no process type "clock", "release".' },
      why: 'There are: web, worker.',
    })
  })

  it('says how it is done where the number stands in files, or where there are no processes', async () => {
    const files = runRunbook(toolboxOf({ processes: [...PROCESSES] }), scale, { amounts: amountsIn(['web=2']) })
    await expect(files).rejects.toMatchObject({ exitCode: 3, next: expect.stringContaining('--scale SERVICE=N') })
    const none = runRunbook(toolboxOf({}), scale, { amounts: amountsIn(['web=2']) })
    await expect(none).rejects.toMatchObject({ exitCode: 3, code: 'no-such-capability' })
  })
})

test('amounts are types with whole numbers', () => {
  expect(amountsIn(['web=2', 'worker=0'])).toEqual([
    { name: 'web', quantity: 2 },
    { name: 'worker', quantity: 0 },
  ])
})

test.each([['web=-1'], ['web=x'], ['web=1.5'], ['web'], ['web=+1'], ['=1'], ['web=1000'], ['web=1', 'web=2']])(
  '%s %s are none',
  (...words) => {
    expect(() => amountsIn(words.filter(word => word !== undefined))).toThrow(UsageError)
  },
)
