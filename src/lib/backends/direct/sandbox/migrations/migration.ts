/** One step of the database's history. Its SQL is a batch of statements that fits in one transaction. */
export interface Migration {
  /** 14 digits, as in schema_migrations.version. */
  readonly id: string
  /** The first Mastodon release that ships it, like `4.3.0`. */
  readonly release: string
  /** `post` ones are left out when SKIP_POST_DEPLOYMENT_MIGRATIONS is set (2.5.0 and later). */
  readonly phase: 'pre' | 'post'
  readonly name: string
  readonly sql: string
}

type Row = readonly [id: string, name: string, sql: string]

/** Migrations that run before the new release is deployed. */
export function pre(release: string, ...rows: Row[]): Migration[] {
  return rows.map(([id, name, sql]) => ({ id, release, phase: 'pre', name, sql: sql.trim() }))
}

/** Migrations that run after the new release is deployed. */
export function post(release: string, ...rows: Row[]): Migration[] {
  return rows.map(([id, name, sql]) => ({ id, release, phase: 'post', name, sql: sql.trim() }))
}

/** Rails' two columns, without a default: the application always fills them. */
export const timestamps = 'created_at timestamp NOT NULL, updated_at timestamp NOT NULL'
