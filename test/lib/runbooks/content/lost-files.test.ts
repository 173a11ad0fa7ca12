import { beforeEach, describe, expect, it } from 'vitest'
import type { AppCommand } from '../../../../src/lib/backends/backend.js'
import { OperatorError } from '../../../../src/lib/errors.js'
import { runRunbook } from '../../../../src/lib/runbook/run.js'
import type { Runbook } from '../../../../src/lib/runbook/step.js'
import { precompile } from '../../../../src/lib/runbooks/assets/precompile.js'
import { refreshMedia, removeMedia } from '../../../../src/lib/runbooks/content/media.js'
import { daily } from '../../../../src/lib/runbooks/daily/daily.js'
import type { Toolbox } from '../../../../src/lib/toolbox.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const EXCUSE = { cause: 'What a one-off writes is lost at its end.', next: 'Do it when you deploy.' }

ownState()

let ran: string[]
beforeEach(() => {
  ran = []
})

/** An instance whose one-off processes lose their files. */
function ephemeral(config: Record<string, string>, version = '4.5.3'): Toolbox {
  const run = async ({ argv }: AppCommand) => {
    ran.push(argv.join(' '))
    return {
      stdout: 'OK, removed 0 media attachments\nRemoved 0 media attachments\n',
      stderr: '',
      exitCode: 0,
      planned: false,
    }
  }
  const query = async () => [{}] as never
  const toolbox = toolboxOf({ config, version, oneOff: { losesFiles: EXCUSE, run }, database: { query } })
  // There is no server behind the database that could hold a lock.
  return { ...toolbox, backend: { ...toolbox.backend, postgres: undefined } }
}

async function refusal<O extends object>(toolbox: Toolbox, runbook: Runbook<O, object>, options: O) {
  const error = await runRunbook(toolbox, runbook, options).catch((thrown: unknown) => thrown)
  if (!(error instanceof OperatorError)) throw new Error('it was not refused')
  return { exitCode: error.exitCode, code: error.code, cause: error.why, next: error.next }
}

describe('where a one-off process loses its files', () => {
  const refused = { exitCode: 3, code: 'files-not-kept', ...EXCUSE }
  const outOfReach = { ...refused, next: expect.stringContaining('object storage') }

  it('assets are not compiled, and nothing is started to find that out', async () => {
    expect(await refusal(ephemeral({}), precompile, { ignoreMemory: false })).toEqual(refused)
    expect(ran).toEqual([])
  })

  it.each(['true', 'TRUE', '', undefined])(
    'media on the local disk are left alone: S3_ENABLED is %s',
    async enabled => {
      const toolbox = ephemeral(enabled === undefined ? {} : { S3_ENABLED: enabled })
      if (enabled === 'true') {
        await runRunbook(toolbox, removeMedia, {})
        expect(ran).toEqual([expect.stringContaining('media remove')])
      } else {
        expect(await refusal(toolbox, removeMedia, {})).toEqual(outOfReach)
        expect(await refusal(toolbox, refreshMedia, { account: 'alice' })).toEqual(outOfReach)
        expect(ran).toEqual([])
      }
    },
  )

  it('the daily work leaves them out, and says why', async () => {
    const report = await runRunbook(ephemeral({}), daily, { mediaDays: 7 })
    expect(report.steps).toEqual([
      expect.objectContaining({ state: 'skipped', reason: expect.stringContaining('cannot reach the media') }),
      expect.objectContaining({ state: 'skipped', id: 'drop-expired' }),
    ])
    expect(ran).toEqual([])
  })
})
