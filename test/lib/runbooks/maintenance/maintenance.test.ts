import { describe, expect, it } from 'vitest'
import type { Maintenance } from '../../../../src/lib/backends/backend.js'
import { OutcomeUnknownError, RefusedError } from '../../../../src/lib/errors.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import { maintenanceOff, maintenanceOn } from '../../../../src/lib/runbooks/maintenance/maintenance.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

/** A switch; `trouble` happens once, at the first turn. */
class Switch implements Maintenance {
  turns = 0
  on: boolean
  readonly #trouble: 'stuck' | 'lost before' | 'lost after' | 'fails after' | undefined

  constructor(on: boolean, trouble?: 'stuck' | 'lost before' | 'lost after' | 'fails after') {
    this.on = on
    this.#trouble = trouble
  }

  async isOn(): Promise<boolean> {
    return this.on
  }

  async set(on: boolean): Promise<void> {
    this.turns += 1
    const trouble = this.turns === 1 ? this.#trouble : undefined
    if (trouble === 'stuck') return
    if (trouble === 'lost before') throw new OutcomeUnknownError({ code: 'lost', message: 'The connection was lost.' })
    this.on = on
    if (trouble === 'lost after') throw new OutcomeUnknownError({ code: 'lost', message: 'The connection was lost.' })
    if (trouble === 'fails after') throw new RefusedError({ code: 'failed', message: 'It was made to fail.' })
  }
}

ownState()

const turned = (maintenance: Switch, on: boolean) =>
  runRunbook(toolboxOf({ maintenance }), on ? maintenanceOn : maintenanceOff, {}, { pauseMs: 0 })

describe.each([true, false])('turning the maintenance mode to %s', on => {
  it('turns it, and reads it back', async () => {
    const maintenance = new Switch(!on)
    expect(await turned(maintenance, on)).toMatchObject({ result: { on, changed: true } })
    expect(maintenance).toMatchObject({ on, turns: 1 })
  })

  it('leaves it alone where it is so already', async () => {
    const maintenance = new Switch(on)
    expect(await turned(maintenance, on)).toMatchObject({ result: { on, changed: false } })
    expect(maintenance.turns).toBe(0)
  })

  it('fails when it does not stay turned', async () => {
    const maintenance = new Switch(!on, 'stuck')
    await expect(turned(maintenance, on)).rejects.toMatchObject({ code: 'maintenance-not-switched', exitCode: 4 })
    expect(maintenance.on).toBe(!on)
  })

  it('puts it back when the turning fails', async () => {
    const maintenance = new Switch(!on, 'fails after')
    await expect(turned(maintenance, on)).rejects.toMatchObject({ exitCode: 4 })
    expect(maintenance).toMatchObject({ on: !on, turns: 2 })
  })

  it('looks when the connection was lost', async () => {
    expect(await turned(new Switch(!on, 'lost after'), on)).toMatchObject({ result: { on, changed: true } })
    await expect(turned(new Switch(!on, 'lost before'), on)).rejects.toMatchObject({ exitCode: 4 })
  })
})

it('is refused where there is none, with what to do instead', async () => {
  await expect(runRunbook(toolboxOf({}), maintenanceOn, {})).rejects.toMatchObject({
    ...{ exitCode: 3, code: 'no-such-capability' },
    next: expect.stringContaining('proxy'),
  })
})
