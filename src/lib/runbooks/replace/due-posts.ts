import type { Step } from '../../runbook/step.js'

/** Under this key a run notes how many it has removed. */
const NOTE = 'due-posts'
/** Mastodon publishes whatever is due within five minutes (app/workers/scheduler/scheduled_statuses_scheduler.rb @2.7.0). */
const DUE = `scheduled_at <= timezone('UTC', now()) + interval '10 minutes'`

/** Returns how many scheduled posts a run has removed; null where it did not come so far. */
export function duePosts(noted: (key: string) => string | undefined): number | null {
  const removed = noted(NOTE)
  return removed === undefined ? null : Number(removed)
}

/**
 * Posts that were scheduled when the backup was made, and are due by now, have been published or cancelled since: Mastodon
 * would publish them a second time within minutes. The table is there from 2.7 on.
 */
export function duePostsStep(): Step {
  return {
    id: 'due-posts',
    title: 'Remove scheduled posts that were due since the backup was made',
    effect: 'write',
    needed: async ({ toolbox }) => {
      const [table] = await (await toolbox.database()).query<{ there: boolean }>(
        "SELECT to_regclass('scheduled_statuses') IS NOT NULL AS there",
      )
      return table?.there === true || 'there is no table of scheduled posts'
    },
    run: async ({ toolbox, note, noted }) => {
      const database = await toolbox.database()
      const [due] = await database.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM scheduled_statuses WHERE ${DUE}`,
      )
      // Before they go: a killed run would find none any more.
      if (noted(NOTE) === undefined) await note(NOTE, String(due?.count ?? 0))
      await database.write(`DELETE FROM scheduled_statuses WHERE ${DUE}`)
    },
    // It goes with the restored state.
    undo: async () => undefined,
  }
}
