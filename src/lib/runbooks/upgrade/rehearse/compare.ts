import { fitOf } from '../../../mastodon/fit.js'
import { schemaOf } from '../../../mastodon/releases.js'
import { MastodonVersion } from '../../../mastodon/version.js'
import type { Step, StepContext } from '../../../runbook/step.js'
import { phasesSeen, scratchSchema } from './migrate.js'
import type { RehearsalOptions } from './options.js'

const NOTE = 'schema'

/** Compares the schema with what the release brings, and with what is known of the release. */
export function compareStep(options: RehearsalOptions): Step {
  return {
    id: 'compare',
    title: `Compare the schema with that of ${options.upgrade.to}`,
    effect: 'read',
    needed: async ({ noted, dryRun }) =>
      dryRun || phasesSeen(noted).every(({ failed }) => failed === null) || 'a migration has failed',
    run: async context => {
      if (context.dryRun) return
      const problem = await problemOf(context, options)
      if (problem !== undefined) await context.note(NOTE, problem)
    },
  }
}

/** Returns what was found to be wrong with the schema; null where nothing was. */
export function schemaNoted(noted: StepContext['noted']): string | null {
  return noted(NOTE) ?? null
}

/** By the files of the release, and by the table of releases: an image may bring fewer files than the release has. */
async function problemOf(context: StepContext, options: RehearsalOptions): Promise<string | undefined> {
  const { to } = options.upgrade
  const { applied, files } = await scratchSchema(context, options)
  const version = MastodonVersion.of(to)
  const { verdict, sentence } = fitOf(applied, { version, migrations: files })
  if (verdict !== 'fits') return sentence.replace(/^The dump/, 'The migrated database')
  const [newest = ''] = [...applied].sort().reverse()
  const known = schemaOf(version)
  if (known === undefined || newest >= known) return undefined
  return `The newest migration is ${newest}, and that of ${to} is ${known}: the image does not hold all of the release.`
}
