import { LOCAL } from './identity/accounts.js'

/** What a reset does not keep, as people know it. */
export interface LostRows {
  what: string
  table: string
  /** SQL; all rows without it. */
  where?: string
}

const HERE = `account_id IN (${LOCAL})`

/**
 * The lost tables that somebody would miss. A row is of this server where its account is: that holds for every release,
 * while statuses.local came with 1.6.0. Source: db/schema.rb @v1.3.0 to @v4.6.0.
 */
export const LOST_ROWS: readonly LostRows[] = [
  { what: 'posts of people here', table: 'statuses', where: HERE },
  { what: 'posts of people elsewhere', table: 'statuses', where: `NOT ${HERE}` },
  { what: 'media of people here', table: 'media_attachments', where: HERE },
  { what: 'notifications', table: 'notifications' },
  { what: 'favourites of people here', table: 'favourites', where: HERE },
  { what: 'bookmarks', table: 'bookmarks' },
  { what: 'scheduled posts', table: 'scheduled_statuses' },
  { what: 'reports', table: 'reports' },
]

/** What Rails has written down about the schema: a copy of the schema has the same. */
export const BOOKKEEPING = ['schema_migrations', 'ar_internal_metadata'] as const
