import { namedBackup } from '../../../../backups/named.js'
import { RefusedError } from '../../../../errors.js'
import { mayCreateDatabases } from '../../../../postgres/scratch.js'
import { shellLine } from '../../../../text.js'
import type { Toolbox } from '../../../../toolbox.js'
import { refusePooler } from '../../../db/migrate.js'
import { refuseBad, refuseForeign } from '../../../db/restore.js'
import { capturesOf } from '../../../replace/live.js'
import { formationOf } from '../../../scale/scale.js'
import { buildOf } from '../../deploy-options.js'
import { refuseOtherRelease } from '../check.js'
import { theUpgrade } from '../runs.js'
import { type DeployedBackOptions, whyNotCode } from './options.js'

/** Refuses what is in the way of going back. */
export async function refuse(toolbox: Toolbox, options: DeployedBackOptions): Promise<void> {
  const record = await theUpgrade(toolbox, options.of)
  formationOf(toolbox)
  await refuseOtherCode(toolbox, options)
  await refuseOtherRelease(toolbox, options)
  await refusePooler(toolbox)
  if (options.backup === undefined) {
    if ((await whyNotCode(toolbox, record)) !== undefined) throw migratedMeanwhile()
    return
  }
  const backup = await namedBackup(toolbox, options.backup)
  await refuseForeign(toolbox, backup)
  await refuseOwnServer(toolbox, options.backup, options)
  await refuseBad(toolbox, backup, options)
}

/** What was deployed since would be lost. */
async function refuseOtherCode(toolbox: Toolbox, { of, commit, former }: DeployedBackOptions): Promise<void> {
  const build = buildOf(toolbox)
  await build.untilOver()
  const found = await build.inForce()
  if (found.slug === former.slug || (await build.isInForce(commit))) return
  throw new RefusedError({
    code: 'other-code-since',
    message: `Other code was deployed since run ${of}: going back would lose it.`,
    cause: `In force is ${found.label}${found.commit === undefined ? '' : ` (${found.commit.slice(0, 12)})`}; the run has pushed ${commit.slice(0, 12)}.`,
    next: [
      'An upgrade: take it back first (mstdn-ops rollback; mstdn-ops runs lists them).',
      'What was pushed by hand: heroku releases:rollback to the release of the upgrade (it takes config vars of then along), then run the command again.',
    ].join('\n'),
  })
}

function migratedMeanwhile(): RefusedError {
  return new RefusedError({
    code: 'migrated-meanwhile',
    message: 'The former code cannot serve any more: nothing was changed.',
    cause: 'Migrations were applied meanwhile.',
    next: 'Run the command again: it means restoring the backup now.',
  })
}

/** Where the app's database is on a server of the operator's own, the platform makes no backup that goes back by itself. */
async function refuseOwnServer(
  toolbox: Toolbox,
  backup: string,
  { to, former }: Pick<DeployedBackOptions, 'to' | 'former'>,
): Promise<void> {
  const isManaged = toolbox.backend.captures !== undefined && !(await mayCreateDatabases(await toolbox.database()))
  if (isManaged) return capturesOf(toolbox).usable()
  const scale = 'mstdn-ops scale (note the sizes), then mstdn-ops scale web=0 worker=0'
  const config = 'heroku config -s > now.env, for the platform takes config vars back, too'
  const restore = shellLine(['mstdn-ops', 'db:restore', backup])
  throw new RefusedError({
    code: 'database-not-of-platform',
    message: `Going back to ${to} takes the backup of before, and the database is not run by the platform.`,
    cause: 'Code and database cannot be put back in one run here.',
    next: [
      `By hand, in this order: mstdn-ops maintenance:on`,
      scale,
      config,
      `heroku releases:rollback ${former.label}, and set what now.env has besides`,
      restore,
      'mstdn-ops scale to the sizes of before, and mstdn-ops maintenance:off',
    ].join('\n'),
  })
}
