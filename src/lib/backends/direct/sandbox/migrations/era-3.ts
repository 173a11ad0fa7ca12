import { type Migration, post, pre, timestamps } from './migration.js'

/**
 * Mastodon 3.0 to 3.5: OStatus gone, soft-deleted statuses, security keys, materialized views. OStatus's two tables
 * leave in post-deployment migrations, so a half-migrated 3.0 still has them.
 */
export const era3: readonly Migration[] = [
  ...pre(
    '3.0.0',
    [
      '20190627222225',
      'create_custom_emoji_categories',
      `
CREATE TABLE custom_emoji_categories (id bigserial PRIMARY KEY, name varchar UNIQUE, ${timestamps});
ALTER TABLE custom_emojis
  ADD category_id bigint REFERENCES custom_emoji_categories ON DELETE SET NULL,
  ADD visible_in_picker boolean NOT NULL DEFAULT true;`,
    ],
    [
      '20190705002136',
      'create_domain_allows',
      `CREATE TABLE domain_allows (id bigserial PRIMARY KEY, domain varchar NOT NULL DEFAULT '' UNIQUE, ${timestamps});`,
    ],
    [
      '20190820003045',
      'add_deleted_at_to_statuses',
      `
ALTER TABLE statuses ADD deleted_at timestamp;
CREATE INDEX index_statuses_on_deleted_at ON statuses (deleted_at) WHERE deleted_at IS NOT NULL;`,
    ],
    [
      '20190904222339',
      'create_markers',
      `
CREATE TABLE markers (
  id bigserial PRIMARY KEY,
  user_id bigint REFERENCES users ON DELETE CASCADE,
  timeline varchar NOT NULL DEFAULT '',
  last_read_id bigint NOT NULL DEFAULT 0,
  lock_version integer NOT NULL DEFAULT 0,
  ${timestamps}
);
CREATE UNIQUE INDEX index_markers_on_user_id_and_timeline ON markers (user_id, timeline);`,
    ],
    [
      '20190914202517',
      'create_account_aliases',
      `
CREATE TABLE account_aliases (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  acct varchar NOT NULL DEFAULT '',
  uri varchar NOT NULL DEFAULT '',
  ${timestamps}
);
CREATE TABLE account_migrations (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  acct varchar NOT NULL DEFAULT '',
  followers_count bigint NOT NULL DEFAULT 0,
  target_account_id bigint REFERENCES accounts ON DELETE SET NULL,
  ${timestamps}
);
ALTER TABLE accounts ADD discoverable boolean, ADD also_known_as varchar[];`,
    ],
    [
      '20191001213028',
      'change_tag_index_to_lowercase',
      `
DROP INDEX index_tags_on_name;
CREATE UNIQUE INDEX index_tags_on_name_lower ON tags (lower(name));`,
    ],
  ),
  ...post(
    '3.0.0',
    ['20190706233204', 'drop_stream_entries', 'DROP TABLE stream_entries;'],
    ['20190715031050', 'drop_subscriptions', 'DROP TABLE subscriptions;'],
    [
      '20190901040524',
      'add_last_status_at_to_tags',
      'ALTER TABLE tags ADD last_status_at timestamp, ADD usable boolean, ADD listable boolean, ADD trendable boolean, ADD reviewed_at timestamp;',
    ],
    [
      '20190927124642',
      'remove_invalid_web_push_subscription',
      "DELETE FROM web_push_subscriptions WHERE endpoint = '' OR key_p256dh = '' OR key_auth = '';",
    ],
  ),
  ...pre('3.0.1', ['20191007013357', 'update_pt_locales', "UPDATE users SET locale = 'pt-PT' WHERE locale = 'pt';"]),
  ...pre(
    '3.1.0',
    [
      '20191031163205',
      'create_bookmarks',
      `
CREATE TABLE bookmarks (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  status_id bigint NOT NULL REFERENCES statuses ON DELETE CASCADE,
  ${timestamps}
);
CREATE UNIQUE INDEX index_bookmarks_on_account_id_and_status_id ON bookmarks (account_id, status_id);`,
    ],
    [
      '20200126203551',
      'create_announcements',
      `
CREATE TABLE announcements (
  id bigserial PRIMARY KEY,
  text text NOT NULL DEFAULT '',
  published boolean NOT NULL DEFAULT false,
  scheduled_at timestamp,
  ${timestamps}
);`,
    ],
  ),
  ...pre('3.1.3', [
    '20200312185443',
    'add_parent_id_to_email_domain_blocks',
    'ALTER TABLE email_domain_blocks ADD parent_id bigint REFERENCES email_domain_blocks ON DELETE CASCADE;',
  ]),
  ...pre(
    '3.1.4',
    [
      '20200407202420',
      'create_unavailable_domains',
      "CREATE TABLE unavailable_domains (id bigserial PRIMARY KEY, domain varchar NOT NULL DEFAULT '' UNIQUE, " +
        `${timestamps});`,
    ],
    [
      '20200417125749',
      'add_storage_schema_version',
      `
ALTER TABLE accounts ADD avatar_storage_schema_version integer, ADD header_storage_schema_version integer;
ALTER TABLE media_attachments ADD file_storage_schema_version integer;
ALTER TABLE preview_cards ADD image_storage_schema_version integer;
ALTER TABLE custom_emojis ADD image_storage_schema_version integer;`,
    ],
    [
      '20200510110808',
      'reset_web_app_secret',
      "UPDATE oauth_applications SET secret = md5(random()::text) WHERE superapp AND secret = '';",
    ],
  ),
  ...pre(
    '3.2.0',
    [
      '20200516180352',
      'create_devices',
      `
CREATE TABLE devices (
  id bigserial PRIMARY KEY,
  access_token_id bigint REFERENCES oauth_access_tokens ON DELETE CASCADE,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  device_id varchar NOT NULL DEFAULT '',
  name varchar NOT NULL DEFAULT '',
  ${timestamps}
);`,
    ],
    [
      '20200608113046',
      'add_sign_in_token_to_users',
      'ALTER TABLE users ADD sign_in_token varchar, ADD sign_in_token_sent_at timestamp;',
    ],
    [
      '20200620164023',
      'fix_accounts_unique_index',
      `
DROP INDEX index_accounts_on_username_and_domain_lower;
CREATE UNIQUE INDEX index_accounts_on_username_and_domain_lower
  ON accounts (lower(username), coalesce(lower(domain), ''));`,
    ],
    [
      '20200622213645',
      'media_attachment_ids_to_timestamp_ids',
      "ALTER TABLE media_attachments ALTER id SET DEFAULT timestamp_id('media_attachments');",
    ],
    [
      '20200627125810',
      'add_thumbnail_columns_to_media_attachments',
      `
ALTER TABLE media_attachments
  ADD thumbnail_file_name varchar,
  ADD thumbnail_content_type varchar,
  ADD thumbnail_file_size integer,
  ADD thumbnail_updated_at timestamp,
  ADD thumbnail_remote_url varchar;`,
    ],
    [
      '20200628133322',
      'create_account_notes',
      `
CREATE TABLE account_notes (
  id bigserial PRIMARY KEY,
  account_id bigint REFERENCES accounts ON DELETE CASCADE,
  target_account_id bigint REFERENCES accounts ON DELETE CASCADE,
  comment text NOT NULL,
  ${timestamps}
);`,
    ],
  ),
  ...pre(
    '3.3.0',
    [
      '20200630190240',
      'create_webauthn_credentials',
      `
CREATE TABLE webauthn_credentials (
  id bigserial PRIMARY KEY,
  external_id varchar NOT NULL,
  public_key varchar NOT NULL,
  nickname varchar NOT NULL,
  sign_count bigint NOT NULL DEFAULT 0,
  user_id bigint REFERENCES users ON DELETE CASCADE,
  ${timestamps}
);
CREATE UNIQUE INDEX index_webauthn_credentials_on_external_id ON webauthn_credentials (external_id);
CREATE UNIQUE INDEX index_webauthn_credentials_on_user_id_and_nickname ON webauthn_credentials (user_id, nickname);`,
    ],
    ['20200630190544', 'add_webauthn_id_to_users', 'ALTER TABLE users ADD webauthn_id varchar;'],
    ['20200917192924', 'add_type_to_notifications', 'ALTER TABLE notifications ADD type varchar;'],
    [
      '20201008220312',
      'create_ip_blocks',
      `
CREATE TABLE ip_blocks (
  id bigserial PRIMARY KEY,
  ip inet NOT NULL DEFAULT '0.0.0.0' UNIQUE,
  severity integer NOT NULL DEFAULT 0,
  expires_at timestamp,
  comment text NOT NULL DEFAULT '',
  ${timestamps}
);
ALTER TABLE users ADD sign_up_ip inet;`,
    ],
    [
      '20201017233919',
      'add_suspension_origin_to_accounts',
      'ALTER TABLE accounts ADD suspension_origin integer, ADD sensitized_at timestamp;',
    ],
    [
      '20201206004238',
      'create_instances',
      `
CREATE MATERIALIZED VIEW instances AS
  SELECT domain, count(*) AS accounts_count FROM accounts WHERE domain IS NOT NULL GROUP BY domain;
CREATE UNIQUE INDEX index_instances_on_domain ON instances (domain);`,
    ],
    [
      '20201218054746',
      'add_obfuscate_to_domain_blocks',
      'ALTER TABLE domain_blocks ADD obfuscate boolean NOT NULL DEFAULT false, ADD private_comment text, ADD public_comment text;',
    ],
  ),
  ...post(
    '3.3.0',
    [
      '20200917193528',
      'migrate_notifications_type',
      `
UPDATE notifications SET type = CASE activity_type
    WHEN 'Mention' THEN 'mention' WHEN 'Status' THEN 'reblog' WHEN 'Follow' THEN 'follow'
    WHEN 'FollowRequest' THEN 'follow_request' WHEN 'Favourite' THEN 'favourite' WHEN 'Poll' THEN 'poll' END
  WHERE type IS NULL;
CREATE INDEX index_notifications_on_account_id_and_id_and_type ON notifications (account_id, id DESC, type);`,
    ],
    ['20200917222734', 'remove_index_notifications_on_account_activity', 'DROP INDEX account_activity;'],
    [
      '20201017234926',
      'fill_account_suspension_origin',
      'UPDATE accounts SET suspension_origin = 0 WHERE suspended_at IS NOT NULL AND suspension_origin IS NULL;',
    ],
  ),
  ...pre(
    '3.4.0',
    [
      '20210221045109',
      'create_rules',
      `
CREATE TABLE rules (
  id bigserial PRIMARY KEY,
  priority integer NOT NULL DEFAULT 0,
  deleted_at timestamp,
  text text NOT NULL DEFAULT '',
  ${timestamps}
);`,
    ],
    [
      '20210322164601',
      'create_account_summaries',
      `
CREATE MATERIALIZED VIEW account_summaries AS
  SELECT account_id, mode() WITHIN GROUP (ORDER BY language) AS language, bool_or(sensitive) AS sensitive
  FROM statuses WHERE visibility = 0 AND deleted_at IS NULL GROUP BY account_id;
CREATE UNIQUE INDEX index_account_summaries_on_account_id ON account_summaries (account_id);`,
    ],
    [
      '20210324171613',
      'create_follow_recommendations',
      `
CREATE MATERIALIZED VIEW follow_recommendations AS
  SELECT target_account_id AS account_id, count(*) AS rank FROM follows GROUP BY target_account_id;
CREATE UNIQUE INDEX index_follow_recommendations_on_account_id ON follow_recommendations (account_id);`,
    ],
    [
      '20210416200740',
      'create_canonical_email_blocks',
      `
CREATE TABLE canonical_email_blocks (
  id bigserial PRIMARY KEY,
  canonical_email_hash varchar NOT NULL DEFAULT '' UNIQUE,
  reference_account_id bigint NOT NULL REFERENCES accounts,
  ${timestamps}
);`,
    ],
  ),
  ...post(
    '3.4.0',
    [
      '20210308133107',
      'remove_subscription_expires_at_from_accounts',
      'ALTER TABLE accounts DROP subscription_expires_at;',
    ],
    [
      '20210502233513',
      'remove_salmon_url_from_accounts',
      'ALTER TABLE accounts DROP secret, DROP remote_url, DROP salmon_url;',
    ],
    ['20210507001928', 'remove_hub_url_from_accounts', 'ALTER TABLE accounts DROP hub_url;'],
  ),
  ...post('3.4.1', [
    '20210526193025',
    'remove_lock_version_from_account_stats',
    'ALTER TABLE account_stats DROP lock_version;',
  ]),
  ...pre('3.4.2', [
    '20210630000137',
    'fix_canonical_email_blocks_foreign_key',
    `
ALTER TABLE canonical_email_blocks
  DROP CONSTRAINT canonical_email_blocks_reference_account_id_fkey,
  ADD CONSTRAINT canonical_email_blocks_reference_account_id_fkey
    FOREIGN KEY (reference_account_id) REFERENCES accounts ON DELETE CASCADE;`,
  ]),
  ...pre(
    '3.5.0',
    [
      '20210609202149',
      'create_login_activities',
      `
CREATE TABLE login_activities (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  authentication_method varchar,
  provider varchar,
  success boolean,
  failure_reason varchar,
  ip inet,
  user_agent varchar,
  created_at timestamp
);`,
    ],
    [
      '20210616214526',
      'create_user_ips',
      `
CREATE VIEW user_ips AS
  SELECT user_id, ip, max(used_at) AS used_at FROM (
    SELECT id AS user_id, sign_up_ip AS ip, created_at AS used_at FROM users WHERE sign_up_ip IS NOT NULL
    UNION ALL SELECT user_id, ip, updated_at FROM session_activations
    UNION ALL SELECT user_id, ip, created_at FROM login_activities WHERE success
  ) seen GROUP BY user_id, ip;`,
    ],
    ['20210621221010', 'add_skip_sign_in_token_to_users', 'ALTER TABLE users ADD skip_sign_in_token boolean;'],
    [
      '20210722120340',
      'create_account_statuses_cleanup_policies',
      `
CREATE TABLE account_statuses_cleanup_policies (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  enabled boolean NOT NULL DEFAULT true,
  ${timestamps}
);
ALTER TABLE account_warnings ADD report_id bigint REFERENCES reports ON DELETE CASCADE, ADD status_ids varchar[];`,
    ],
    [
      '20210904215403',
      'create_status_edits',
      `
CREATE TABLE status_edits (
  id bigserial PRIMARY KEY,
  status_id bigint NOT NULL REFERENCES statuses ON DELETE CASCADE,
  account_id bigint REFERENCES accounts ON DELETE SET NULL,
  text text NOT NULL DEFAULT '',
  spoiler_text text NOT NULL DEFAULT '',
  ${timestamps}
);
ALTER TABLE statuses ADD edited_at timestamp, ADD trendable boolean, ADD ordered_media_attachment_ids bigint[];`,
    ],
    [
      '20220124141035',
      'create_appeals',
      `
CREATE TABLE appeals (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  text text NOT NULL DEFAULT '',
  approved_at timestamp,
  rejected_at timestamp,
  ${timestamps}
);`,
    ],
    ['20220316233212', 'update_kurdish_locales', "UPDATE users SET locale = 'ckb' WHERE locale = 'ku';"],
  ),
  ...post(
    '3.5.0',
    [
      '20210616214135',
      'remove_current_sign_in_ip_from_users',
      'ALTER TABLE users DROP current_sign_in_ip, DROP last_sign_in_ip;',
    ],
    ['20220118183123', 'remove_rememberable_from_users', 'ALTER TABLE users DROP remember_created_at;'],
    [
      '20220310060706',
      'optimize_null_index_statuses_uri',
      `
DROP INDEX index_statuses_on_uri;
CREATE UNIQUE INDEX index_statuses_on_uri ON statuses (uri text_pattern_ops) WHERE uri IS NOT NULL;`,
    ],
    [
      '20220310060959',
      'optimize_null_index_web_push_subscriptions_access_token_id',
      `
DROP INDEX index_web_push_subscriptions_on_access_token_id;
CREATE INDEX index_web_push_subscriptions_on_access_token_id
  ON web_push_subscriptions (access_token_id) WHERE access_token_id IS NOT NULL;`,
    ],
  ),
  ...post('3.5.2', [
    '20220429101850',
    'clear_email_domain_blocks',
    'DELETE FROM email_domain_blocks WHERE parent_id IS NOT NULL;',
  ]),
]
