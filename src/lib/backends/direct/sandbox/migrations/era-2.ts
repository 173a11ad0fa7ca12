import { type Migration, post, pre, timestamps } from './migration.js'

/** Every integer key of the first era; statuses, conversations and status_pins were born with wide ids. */
const narrowColumns: Record<string, readonly string[]> = {
  accounts: ['id'],
  account_domain_blocks: ['id', 'account_id'],
  blocks: ['id', 'account_id', 'target_account_id'],
  domain_blocks: ['id'],
  favourites: ['id', 'account_id'],
  follow_requests: ['id', 'account_id', 'target_account_id'],
  follows: ['id', 'account_id', 'target_account_id'],
  imports: ['id', 'account_id'],
  media_attachments: ['id', 'account_id'],
  mentions: ['id', 'account_id'],
  mutes: ['id', 'account_id', 'target_account_id'],
  notifications: ['id', 'account_id', 'from_account_id'],
  oauth_access_grants: ['id', 'resource_owner_id', 'application_id'],
  oauth_access_tokens: ['id', 'resource_owner_id', 'application_id'],
  oauth_applications: ['id'],
  preview_cards: ['id'],
  preview_cards_statuses: ['preview_card_id'],
  reports: ['id', 'account_id', 'target_account_id', 'action_taken_by_account_id'],
  session_activations: ['id', 'user_id', 'access_token_id', 'web_push_subscription_id'],
  settings: ['id', 'thing_id'],
  site_uploads: ['id'],
  status_pins: ['account_id'],
  statuses: ['account_id', 'in_reply_to_account_id', 'application_id'],
  statuses_tags: ['tag_id'],
  stream_entries: ['id', 'account_id'],
  subscriptions: ['id', 'account_id'],
  tags: ['id'],
  users: ['id', 'account_id'],
  web_push_subscriptions: ['id'],
  web_settings: ['id', 'user_id'],
}

function widen(table: string, columns: readonly string[]): string {
  const alter = `ALTER TABLE ${table} ${columns.map(column => `ALTER ${column} TYPE bigint`).join(', ')};`
  return columns.includes('id') ? `${alter}\nALTER SEQUENCE ${table}_id_seq AS bigint;` : alter
}

const widenAll = Object.entries(narrowColumns)
  .map(([table, columns]) => widen(table, columns))
  .join('\n')

/**
 * Ids that hold their own time: milliseconds since 1970 shifted left by 16 bits, the low bits from the table's
 * sequence. A dump carries the function, and a restore needs it before the tables.
 */
const timestampId = `
CREATE FUNCTION timestamp_id(table_name text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
  milliseconds bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
BEGIN
  RETURN (milliseconds << 16) | (nextval(table_name || '_id_seq') & 65535);
END
$body$;`

/** Mastodon 2.0 to 2.9: wide and time-bearing ids, counters in tables of their own, the end of OStatus in sight. */
export const era2: readonly Migration[] = [
  ...pre(
    '2.0.0',
    [
      '20170917153509',
      'create_custom_emojis',
      `
CREATE TABLE custom_emojis (
  id bigserial PRIMARY KEY,
  shortcode varchar NOT NULL DEFAULT '',
  domain varchar,
  image_file_name varchar,
  image_content_type varchar,
  image_file_size integer,
  image_updated_at timestamp,
  ${timestamps},
  disabled boolean NOT NULL DEFAULT false,
  uri varchar,
  image_remote_url varchar
);
CREATE UNIQUE INDEX index_custom_emojis_on_shortcode_and_domain ON custom_emojis (shortcode, domain);`,
    ],
    ['20170918125918', 'ids_to_bigints', widenAll],
    [
      '20170920024819',
      'status_ids_to_timestamp_ids',
      `${timestampId}\nALTER TABLE statuses ALTER id SET DEFAULT timestamp_id('statuses');`,
    ],
    [
      '20170928082043',
      'create_email_domain_blocks',
      `CREATE TABLE email_domain_blocks (id bigserial PRIMARY KEY, domain varchar NOT NULL DEFAULT '' UNIQUE, ${timestamps});`,
    ],
    [
      '20171010025614',
      'create_account_moderation_notes',
      `
CREATE TABLE account_moderation_notes (
  id bigserial PRIMARY KEY,
  content text NOT NULL,
  account_id bigint NOT NULL REFERENCES accounts,
  target_account_id bigint NOT NULL REFERENCES accounts,
  ${timestamps}
);`,
    ],
  ),
  ...pre(
    '2.1.0',
    [
      '20171114231651',
      'create_lists',
      `
CREATE TABLE lists (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  title varchar NOT NULL DEFAULT '',
  ${timestamps}
);
CREATE TABLE list_accounts (
  id bigserial PRIMARY KEY,
  list_id bigint NOT NULL REFERENCES lists ON DELETE CASCADE,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  follow_id bigint REFERENCES follows ON DELETE CASCADE
);`,
    ],
    [
      '20171118012443',
      'add_moved_to_account_id_to_accounts',
      `
ALTER TABLE accounts
  ADD memorial boolean NOT NULL DEFAULT false,
  ADD moved_to_account_id bigint REFERENCES accounts ON DELETE SET NULL;`,
    ],
    [
      '20171125185353',
      'create_invites',
      `
CREATE TABLE invites (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  code varchar NOT NULL DEFAULT '' UNIQUE,
  expires_at timestamp,
  max_uses integer,
  uses integer NOT NULL DEFAULT 0,
  ${timestamps}
);
ALTER TABLE users ADD invite_id bigint REFERENCES invites ON DELETE SET NULL, ADD disabled boolean NOT NULL DEFAULT false;`,
    ],
    ['20171130000000', 'add_moderator_to_users', 'ALTER TABLE users ADD moderator boolean NOT NULL DEFAULT false;'],
    [
      '20171212195226',
      'add_unique_index_to_list_accounts',
      'CREATE UNIQUE INDEX index_list_accounts_on_account_id_and_list_id ON list_accounts (account_id, list_id);',
    ],
  ),
  ...pre('2.1.1', [
    '20171226094803',
    'more_faster_index_on_notifications',
    'CREATE INDEX index_notifications_on_account_id_and_id ON notifications (account_id, id DESC);',
  ]),
  ...pre('2.1.3', [
    '20180106000232',
    'add_index_on_statuses_by_account',
    `
CREATE INDEX index_statuses_by_account ON statuses (account_id, id DESC, visibility, updated_at);
DROP INDEX index_statuses_on_account_id;`,
  ]),
  ...pre(
    '2.3.0',
    [
      '20180204034416',
      'create_identities',
      `
CREATE TABLE identities (
  id bigserial PRIMARY KEY,
  user_id bigint REFERENCES users ON DELETE CASCADE,
  provider varchar NOT NULL DEFAULT '',
  uid varchar NOT NULL DEFAULT '',
  ${timestamps}
);`,
    ],
    [
      '20180211015820',
      'create_backups',
      `
CREATE TABLE backups (
  id bigserial PRIMARY KEY,
  user_id bigint REFERENCES users ON DELETE SET NULL,
  dump_file_name varchar,
  dump_content_type varchar,
  dump_file_size integer,
  dump_updated_at timestamp,
  processed boolean NOT NULL DEFAULT false,
  ${timestamps}
);`,
    ],
    [
      '20180304013859',
      'add_featured_collection_url_to_accounts',
      'ALTER TABLE accounts ADD featured_collection_url varchar;',
    ],
  ),
  ...pre(
    '2.4.0',
    ['20180410204633', 'add_fields_to_accounts', 'ALTER TABLE accounts ADD fields jsonb, ADD actor_type varchar;'],
    [
      '20180510214435',
      'add_access_token_id_to_web_push_subscriptions',
      `
ALTER TABLE web_push_subscriptions
  ADD access_token_id bigint REFERENCES oauth_access_tokens ON DELETE CASCADE,
  ADD user_id bigint REFERENCES users ON DELETE CASCADE;`,
    ],
    ['20180514140000', 'add_silent_to_mentions', 'ALTER TABLE mentions ADD silent boolean NOT NULL DEFAULT false;'],
  ),
  ...pre(
    '2.4.1',
    [
      '20180528141303',
      'index_accounts_case_insensitively',
      `
DROP INDEX index_accounts_on_username_and_domain_lower;
DROP INDEX index_accounts_on_username_and_domain;
CREATE UNIQUE INDEX index_accounts_on_username_and_domain_lower ON accounts (lower(username), lower(domain));`,
    ],
    [
      '20180609104432',
      'index_web_push_subscriptions',
      `
CREATE INDEX index_web_push_subscriptions_on_user_id ON web_push_subscriptions (user_id);
CREATE INDEX index_web_push_subscriptions_on_access_token_id ON web_push_subscriptions (access_token_id);`,
    ],
  ),
  ...pre('2.4.2', [
    '20180617162849',
    'remove_unused_indexes',
    'DROP INDEX index_favourites_on_account_id_and_id;\nDROP INDEX index_users_on_filtered_languages;',
  ]),
  ...pre('2.4.3', [
    '20180707154237',
    'create_custom_filters',
    `
CREATE TABLE custom_filters (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  expires_at timestamp,
  phrase text NOT NULL DEFAULT '',
  context varchar[] NOT NULL DEFAULT '{}',
  irreversible boolean NOT NULL DEFAULT false,
  whole_word boolean NOT NULL DEFAULT true,
  ${timestamps}
);`,
  ]),
  ...pre('2.4.4', [
    '20180814171349',
    'add_confidential_to_doorkeeper_application',
    'ALTER TABLE oauth_applications ADD confidential boolean NOT NULL DEFAULT true;',
  ]),
  ...pre(
    '2.5.0',
    [
      '20180711152640',
      'create_relays',
      `
CREATE TABLE relays (
  id bigserial PRIMARY KEY,
  inbox_url varchar NOT NULL DEFAULT '',
  follow_activity_id varchar,
  state integer NOT NULL DEFAULT 0,
  ${timestamps}
);`,
    ],
    [
      '20180808175627',
      'create_account_pins',
      `
CREATE TABLE account_pins (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  target_account_id bigint REFERENCES accounts ON DELETE CASCADE,
  ${timestamps}
);`,
    ],
    [
      '20180812162710',
      'create_status_stats',
      `
CREATE TABLE status_stats (
  id bigserial PRIMARY KEY,
  status_id bigint NOT NULL REFERENCES statuses ON DELETE CASCADE,
  replies_count bigint NOT NULL DEFAULT 0,
  reblogs_count bigint NOT NULL DEFAULT 0,
  favourites_count bigint NOT NULL DEFAULT 0,
  ${timestamps}
);
CREATE UNIQUE INDEX index_status_stats_on_status_id ON status_stats (status_id);`,
    ],
    [
      '20180812173710',
      'copy_status_stats',
      `
INSERT INTO status_stats (status_id, reblogs_count, favourites_count, created_at, updated_at)
  SELECT id, reblogs_count, favourites_count, now(), now() FROM statuses WHERE reblogs_count > 0 OR favourites_count > 0
  ON CONFLICT (status_id) DO NOTHING;`,
    ],
    [
      '20180820232245',
      'index_foreign_keys',
      'CREATE INDEX index_follows_on_target_account_id ON follows (target_account_id);',
    ],
  ),
  ...post('2.5.0', [
    '20180813113448',
    'copy_status_stats_cleanup',
    'ALTER TABLE statuses DROP reblogs_count, DROP favourites_count;',
  ]),
  ...pre(
    '2.6.0',
    [
      '20180929222014',
      'create_account_conversations',
      `
CREATE TABLE account_conversations (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  conversation_id bigint REFERENCES conversations ON DELETE CASCADE,
  participant_account_ids bigint[] NOT NULL DEFAULT '{}',
  status_ids bigint[] NOT NULL DEFAULT '{}',
  last_status_id bigint,
  unread boolean NOT NULL DEFAULT false,
  lock_version integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX index_unique_conversations ON account_conversations (account_id, conversation_id, participant_account_ids);`,
    ],
    ['20181026034033', 'remove_remote_accounts_of_the_local_domain', "DELETE FROM accounts WHERE domain = '';"],
  ),
  ...pre(
    '2.7.0',
    [
      '20181116165755',
      'create_account_stats',
      `
CREATE TABLE account_stats (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  statuses_count bigint NOT NULL DEFAULT 0,
  following_count bigint NOT NULL DEFAULT 0,
  followers_count bigint NOT NULL DEFAULT 0,
  last_status_at timestamp,
  lock_version integer NOT NULL DEFAULT 0,
  ${timestamps}
);
CREATE UNIQUE INDEX index_account_stats_on_account_id ON account_stats (account_id);`,
    ],
    [
      '20181116173541',
      'copy_account_stats',
      `
INSERT INTO account_stats (account_id, statuses_count, following_count, followers_count, created_at, updated_at)
  SELECT id, statuses_count, following_count, followers_count, now(), now() FROM accounts
  ON CONFLICT (account_id) DO NOTHING;`,
    ],
    [
      '20181203021853',
      'create_scheduled_statuses',
      `
CREATE TABLE scheduled_statuses (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  scheduled_at timestamp,
  params jsonb
);
ALTER TABLE media_attachments ADD scheduled_status_id bigint REFERENCES scheduled_statuses ON DELETE SET NULL;`,
    ],
    [
      '20181213184704',
      'create_account_warnings',
      `
CREATE TABLE account_warnings (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE SET NULL,
  target_account_id bigint REFERENCES accounts ON DELETE CASCADE,
  action integer NOT NULL DEFAULT 0,
  text text NOT NULL DEFAULT '',
  ${timestamps}
);`,
    ],
    [
      '20190117114553',
      'create_tombstones',
      `
CREATE TABLE tombstones (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  uri varchar NOT NULL,
  ${timestamps}
);
CREATE INDEX index_tombstones_on_uri ON tombstones (uri);`,
    ],
  ),
  ...post('2.7.0', [
    '20181116184611',
    'copy_account_stats_cleanup',
    'ALTER TABLE accounts DROP statuses_count, DROP following_count, DROP followers_count;',
  ]),
  ...pre(
    '2.8.0',
    [
      '20190203180359',
      'create_featured_tags',
      `
CREATE TABLE featured_tags (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  tag_id bigint REFERENCES tags ON DELETE CASCADE,
  statuses_count bigint NOT NULL DEFAULT 0,
  last_status_at timestamp,
  ${timestamps}
);`,
    ],
    [
      '20190225031541',
      'create_polls',
      `
CREATE TABLE polls (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  status_id bigint REFERENCES statuses ON DELETE CASCADE,
  expires_at timestamp,
  options varchar[] NOT NULL DEFAULT '{}',
  cached_tallies bigint[] NOT NULL DEFAULT '{}',
  multiple boolean NOT NULL DEFAULT false,
  votes_count bigint NOT NULL DEFAULT 0,
  ${timestamps}
);
CREATE TABLE poll_votes (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  poll_id bigint REFERENCES polls ON DELETE CASCADE,
  choice integer NOT NULL DEFAULT 0,
  uri varchar,
  ${timestamps}
);
ALTER TABLE statuses ADD poll_id bigint;`,
    ],
    ['20190307234537', 'add_approved_to_users', 'ALTER TABLE users ADD approved boolean NOT NULL DEFAULT true;'],
    [
      '20190409054914',
      'create_user_invite_requests',
      `
CREATE TABLE user_invite_requests (
  id bigserial PRIMARY KEY,
  user_id bigint REFERENCES users ON DELETE CASCADE,
  text text,
  ${timestamps}
);
ALTER TABLE users ADD created_by_application_id bigint REFERENCES oauth_applications ON DELETE SET NULL;`,
    ],
  ),
  ...pre('2.8.1', [
    '20190420025523',
    'add_blurhash_to_media_attachments',
    'ALTER TABLE media_attachments ADD blurhash varchar;',
  ]),
  ...post('2.8.3', [
    '20190519130537',
    'remove_boosts_widening_audience',
    `
DELETE FROM statuses boost USING statuses boosted
  WHERE boost.reblog_of_id = boosted.id AND boosted.visibility = 2 AND boost.visibility < 2;`,
  ]),
  ...pre(
    '2.9.0',
    [
      '20190511134027',
      'add_silenced_at_suspended_at_to_accounts',
      `
ALTER TABLE accounts ADD silenced_at timestamp, ADD suspended_at timestamp;
UPDATE accounts SET silenced_at = now() WHERE silenced;
UPDATE accounts SET suspended_at = now() WHERE suspended;`,
    ],
    [
      '20190529143559',
      'preserve_old_layout_for_existing_users',
      `
INSERT INTO settings (var, value, thing_type, thing_id, created_at, updated_at)
  SELECT 'advanced_layout', E'--- true\\n', 'User', id, now(), now() FROM users WHERE current_sign_in_at IS NOT NULL
  ON CONFLICT DO NOTHING;`,
    ],
  ),
  ...post('2.9.0', [
    '20190511152737',
    'remove_suspended_silenced_account_fields',
    'ALTER TABLE accounts DROP silenced, DROP suspended;',
  ]),
]
