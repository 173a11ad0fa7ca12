import { runsDir } from '../paths.js'
import { listRuns, type RunRecord } from '../runbook/journal.js'
import { type Attempt, newestFailure } from './retention.js'
import { type BrokenBackup, isProven, type StoredBackup } from './store.js'

/** Returns the newest attempt to make a backup where it failed, told by the store and by the journals of the instance. */
export async function failedAttempt(
  { backups, broken }: { backups: readonly StoredBackup[]; broken: readonly BrokenBackup[] },
  instance: string,
  now: Date,
): Promise<Attempt | undefined> {
  const runs = (await listRuns(runsDir(instance))).filter(({ header }) => header.runbook === 'db:backup')
  const attempts: Attempt[] = [
    ...backups.map(ofBackup),
    ...broken.map(({ name, at, problem }) => ({ name: `The backup ${name}`, at: new Date(at), problem })),
    ...runs.map(ofRun),
  ]
  return newestFailure(attempts, now)
}

function ofBackup(backup: StoredBackup): Attempt {
  const { name, manifest, checks, damage } = backup
  const why = checks.findLast(check => !check.ok)?.why
  const problem = isProven(backup) ? undefined : (damage ?? why ?? 'Its rows were never decoded.')
  return { name: `The backup ${name}`, at: new Date(manifest.startedAt), problem }
}

function ofRun({ header, end }: RunRecord): Attempt {
  const problem = end === undefined ? 'It died before its end.' : `It ended with: ${end.end}.`
  return {
    name: `Run ${header.runId}`,
    at: new Date(header.at),
    problem: end?.end === 'done' ? undefined : problem,
  }
}
