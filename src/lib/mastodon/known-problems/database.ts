import type { KnownProblem } from './problem.js'

export const DATABASE_PROBLEMS: readonly KnownProblem[] = [
  {
    id: 'foreign-key-violation',
    title: 'A foreign key cannot be made: rows point to something that is gone',
    explains:
      'A migration makes a foreign key, and some rows point to a row that was deleted. Such rows are left over from releases without foreign keys.',
    // Jobs and requests say the same of single rows every day, and there it is harmless: behind the class of Rails, or a
    // bracket.
    signs: [
      {
        word: 'PG::ForeignKeyViolation',
        pattern: /(?<!InvalidForeignKey: |\()PG::ForeignKeyViolation: ERROR/,
        seen: true,
      },
    ],
    offers: [
      {
        text: 'mstdn-ops db:migrate (deletes such rows first, after asking: mastodon:maintenance:prepare_for_foreign_keys)',
        since: '1.4.2',
        before: '2.6.0',
      },
      { text: 'mstdn-ops db:backup', since: '2.6.0' },
      {
        text: 'Delete the rows whose key the DETAIL line names, with mstdn-ops db:psql --write; then mstdn-ops db:migrate',
        since: '2.6.0',
      },
    ],
  },
  {
    id: 'duplicate-table',
    title: 'A migration makes a table that is there already',
    explains:
      'An earlier attempt, or a newer release that ran here for a while, has made the table, but its migration does not count as done.',
    signs: [
      {
        word: 'PG::DuplicateTable',
        pattern: /PG::DuplicateTable: ERROR:\s+relation "(?!index_)(?<name>[^"]+)" already exists/,
        seen: true,
      },
    ],
    offers: [
      {
        text: 'mstdn-ops db:drop-leftovers {name} (with --to VERSION where an upgrade failed; refused unless it is empty and a pending migration makes it)',
      },
      { text: 'mstdn-ops db:migrate' },
    ],
  },
  {
    id: 'index-exists',
    title: 'A migration makes an index that is there already',
    explains:
      'An earlier attempt has left the index. It holds no data of its own: dropped, the migration makes it again.',
    signs: [
      { word: 'Index name ', pattern: /Index name '(?<name>[^']+)' on table '[^']+' already exists/, seen: true },
      {
        word: 'PG::DuplicateTable',
        pattern: /PG::DuplicateTable: ERROR:\s+relation "(?<name>index_[^"]+)" already exists/,
        seen: true,
      },
    ],
    offers: [
      {
        text: 'mstdn-ops db:drop-leftovers {name} (with --to VERSION where an upgrade failed; refused where a constraint needs it, or nothing makes it again)',
      },
      { text: 'mstdn-ops db:migrate' },
    ],
  },
  {
    id: 'invalid-index',
    title: 'A unique index cannot be made, or an index is invalid',
    explains:
      'Rows are there twice, or making the index was cut off. Made without locking the table, it is left behind invalid: kept up on every write and used for nothing, and the migration finds its name taken.',
    signs: [
      {
        word: 'could not create unique index',
        pattern: /could not create unique index "(?<name>[^"]+)"/,
        seen: true,
      },
      { word: 'cannot reindex invalid index', pattern: /invalid index "(?:\w+\.)?(?<name>[^"]+)"/, seen: true },
      { word: ') INVALID', pattern: /"(?<name>\w+)"[^"]{1,300}\) INVALID/, seen: true },
    ],
    checks: ['indexes'],
    offers: [
      { text: 'mstdn-ops doctor --only indexes (names every such index, and the statement that mends it)' },
      {
        text: 'Where the DETAIL line says "is duplicated": mstdn-ops db:backup, then bin/tootctl maintenance fix-duplicates in mstdn-ops shell, with Sidekiq stopped',
        since: '3.3.0',
      },
    ],
  },
  {
    id: 'protected-environment',
    title: 'Rails refuses to empty a production database',
    explains:
      'The task (db:migrate:reset, db:reset, db:drop or db:setup) would delete everything there is. Rails protects production from it, and it is right.',
    signs: [{ word: 'ActiveRecord::ProtectedEnvironmentError', seen: true }],
    offers: [
      { text: 'mstdn-ops db:migrate (where the schema is to be brought up to date)' },
      { text: 'mstdn-ops db:reset --dry-run (where the instance is to be emptied: with a backup, keeping who it is)' },
      { text: 'Leave DISABLE_DATABASE_ENVIRONMENT_CHECK unset.' },
    ],
  },
  {
    id: 'pending-migrations',
    title: 'The database does not have the schema of this release',
    explains:
      'Pages end with error 500 because a table or a column is missing. Either migrations have not run since the upgrade, or an older release runs on the database of a newer one.',
    signs: [
      { word: 'ActiveRecord::PendingMigrationError', seen: true },
      { word: 'pending migration', pattern: /You have \d+ pending migrations?:/, seen: true },
      // In brackets it is a request that failed, behind a level a job; a migration that fails so is another matter.
      { word: 'PG::UndefinedColumn', pattern: /StatementInvalid \(PG::UndefinedColumn: ERROR/, seen: true },
      { word: 'PG::UndefinedTable', pattern: /StatementInvalid \(PG::UndefinedTable: ERROR/ },
      {
        word: 'ActiveRecord::StatementInvalid: PG::Undefined',
        pattern: /(WARN|ERROR): ActiveRecord::StatementInvalid: PG::Undefined(Column|Table): ERROR/,
      },
    ],
    checks: ['migrations'],
    offers: [{ text: 'mstdn-ops db:migrate' }, { text: 'mstdn-ops restart' }],
  },
]
