import { type Migration, post, pre, timestamps } from './migration.js'

/** Mastodon 4.0 to 4.7: role objects, encrypted columns, the legacy two-factor columns gone, keys in their own table. */
export const era4: readonly Migration[] = [
  ...pre(
    '4.0.0',
    [
      '20220611210335',
      'create_user_roles',
      `
CREATE TABLE user_roles (
  id bigserial PRIMARY KEY,
  name varchar NOT NULL DEFAULT '',
  color varchar NOT NULL DEFAULT '',
  position integer NOT NULL DEFAULT 0,
  permissions bigint NOT NULL DEFAULT 0,
  highlighted boolean NOT NULL DEFAULT false,
  ${timestamps}
);`,
    ],
    [
      '20220611212541',
      'add_role_id_to_users',
      `
ALTER TABLE users ADD role_id bigint REFERENCES user_roles ON DELETE SET NULL;
CREATE INDEX index_users_on_role_id ON users (role_id) WHERE role_id IS NOT NULL;`,
    ],
    [
      '20220606044941',
      'create_webhooks',
      `
CREATE TABLE webhooks (
  id bigserial PRIMARY KEY,
  url varchar NOT NULL UNIQUE,
  events varchar[] NOT NULL DEFAULT '{}',
  secret varchar NOT NULL DEFAULT '',
  enabled boolean NOT NULL DEFAULT true,
  ${timestamps}
);`,
    ],
    [
      '20220714171049',
      'create_tag_follows',
      `
CREATE TABLE tag_follows (
  id bigserial PRIMARY KEY,
  tag_id bigint NOT NULL REFERENCES tags ON DELETE CASCADE,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  ${timestamps}
);`,
    ],
    [
      '20221104133904',
      'add_ephemeral_index_to_tags',
      'CREATE INDEX index_tags_on_last_status_at ON tags (last_status_at) WHERE last_status_at IS NOT NULL;',
    ],
  ),
  ...post(
    '4.0.0',
    ['20220527114923', 'remove_filtered_languages_from_users', 'ALTER TABLE users DROP filtered_languages;'],
    [
      '20220617202502',
      'migrate_roles',
      `
INSERT INTO user_roles (id, name, position, permissions, highlighted, created_at, updated_at)
  VALUES (-99, '', -1, 65536, false, now(), now()) ON CONFLICT DO NOTHING;
INSERT INTO user_roles (name, position, permissions, highlighted, created_at, updated_at)
  SELECT wanted.name, wanted.position, wanted.permissions, true, now(), now()
  FROM (VALUES ('Moderator', 10, 1308), ('Admin', 100, 983036), ('Owner', 1000, 1)) AS wanted (name, position, permissions)
  WHERE NOT EXISTS (SELECT FROM user_roles WHERE user_roles.name = wanted.name);
UPDATE users SET role_id = (SELECT id FROM user_roles WHERE name = 'Owner') WHERE admin AND role_id IS NULL;
UPDATE users SET role_id = (SELECT id FROM user_roles WHERE name = 'Moderator') WHERE moderator AND role_id IS NULL;`,
    ],
    ['20221101190723', 'clear_empty_appeals', "DELETE FROM appeals WHERE text = '';"],
  ),
  ...post('4.1.0', [
    '20221206114142',
    'clear_empty_rules',
    "DELETE FROM rules WHERE text = '' AND deleted_at IS NOT NULL;",
  ]),
  ...pre(
    '4.2.0',
    ['20230215074425', 'add_settings_to_users', 'ALTER TABLE users ADD settings text, ADD time_zone varchar;'],
    [
      '20230330135507',
      'create_bulk_imports',
      `
CREATE TABLE bulk_imports (
  id bigserial PRIMARY KEY,
  type integer NOT NULL,
  state integer NOT NULL,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  ${timestamps}
);`,
    ],
    [
      '20230330155710',
      'add_indexable_to_accounts',
      'ALTER TABLE accounts ADD indexable boolean NOT NULL DEFAULT false;',
    ],
    [
      '20230818141056',
      'create_global_follow_recommendations',
      `
CREATE MATERIALIZED VIEW global_follow_recommendations AS
  SELECT target_account_id AS account_id, count(*) AS rank FROM follows GROUP BY target_account_id;
CREATE UNIQUE INDEX index_global_follow_recommendations_on_account_id ON global_follow_recommendations (account_id);`,
    ],
    [
      '20230822081029',
      'create_software_updates',
      `
CREATE TABLE software_updates (
  id bigserial PRIMARY KEY,
  version varchar NOT NULL UNIQUE,
  urgent boolean NOT NULL DEFAULT false,
  type integer NOT NULL DEFAULT 0,
  release_notes varchar NOT NULL DEFAULT '',
  ${timestamps}
);`,
    ],
    [
      '20230907150100',
      'account_ids_to_timestamp_ids',
      "ALTER TABLE accounts ALTER id SET DEFAULT timestamp_id('accounts');",
    ],
  ),
  ...post(
    '4.2.0',
    [
      '20230803112520',
      'add_primary_key_to_preview_cards_statuses',
      'ALTER TABLE preview_cards_statuses ADD PRIMARY KEY (status_id, preview_card_id);',
    ],
    ['20230818142253', 'drop_follow_recommendations', 'DROP MATERIALIZED VIEW follow_recommendations;'],
    ['20230904134623', 'fix_kmr_locale_settings', "UPDATE users SET locale = 'ku' WHERE locale = 'kmr';"],
  ),
  ...pre(
    '4.3.0',
    ['20231210154528', 'add_otp_secret_to_users', 'ALTER TABLE users ADD otp_secret varchar;'],
    [
      '20240221195424',
      'create_notification_requests',
      `
CREATE TABLE notification_requests (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  from_account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  last_status_id bigint,
  notifications_count bigint NOT NULL DEFAULT 0,
  ${timestamps}
);
ALTER TABLE notifications ADD filtered boolean NOT NULL DEFAULT false, ADD group_key varchar;`,
    ],
    [
      '20240222193403',
      'create_notification_policies',
      `
CREATE TABLE notification_policies (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL UNIQUE REFERENCES accounts ON DELETE CASCADE,
  ${timestamps}
);`,
    ],
    [
      '20240909014637',
      'add_attribution_domains_to_accounts',
      "ALTER TABLE accounts ADD attribution_domains varchar[] DEFAULT '{}';",
    ],
    [
      '20241007071624',
      'create_notification_permissions',
      `
CREATE TABLE notification_permissions (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts,
  from_account_id bigint NOT NULL REFERENCES accounts,
  ${timestamps}
);`,
    ],
  ),
  ...post(
    '4.3.0',
    // The application decrypts with OTP_SECRET here and encrypts again; SQL has neither key, so the text moves as it is.
    [
      '20240307180905',
      'migrate_devise_two_factor_secrets',
      'UPDATE users SET otp_secret = encrypted_otp_secret WHERE otp_secret IS NULL AND encrypted_otp_secret IS NOT NULL;',
    ],
    ['20240322161611', 'remove_obsolete_roles_from_users', 'ALTER TABLE users DROP admin, DROP moderator;'],
    ['20240720140205', 'drop_end_to_end_message_tables', 'DROP TABLE devices;'],
    [
      '20240916190140',
      'remove_crypto_scope_values',
      `
UPDATE oauth_applications SET scopes = trim(replace(scopes, 'crypto', '')) WHERE scopes LIKE '%crypto%';
UPDATE oauth_access_tokens SET scopes = trim(replace(scopes, 'crypto', '')) WHERE scopes LIKE '%crypto%';`,
    ],
  ),
  ...pre(
    '4.4.0',
    [
      '20241206131513',
      'create_fasp_providers',
      `
CREATE TABLE fasp_providers (
  id bigserial PRIMARY KEY,
  confirmed boolean NOT NULL DEFAULT false,
  name varchar NOT NULL,
  base_url varchar NOT NULL UNIQUE,
  ${timestamps}
);`,
    ],
    [
      '20250411094808',
      'create_quotes',
      `
CREATE TABLE quotes (
  id bigint PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  status_id bigint NOT NULL UNIQUE REFERENCES statuses ON DELETE CASCADE,
  quoted_status_id bigint REFERENCES statuses ON DELETE SET NULL,
  quoted_account_id bigint REFERENCES accounts ON DELETE SET NULL,
  state integer NOT NULL DEFAULT 0,
  approval_uri varchar,
  activity_uri varchar UNIQUE,
  ${timestamps}
);
CREATE SEQUENCE quotes_id_seq OWNED BY quotes.id;
ALTER TABLE quotes ALTER id SET DEFAULT timestamp_id('quotes');`,
    ],
    ['20250627132728', 'add_age_verified_at_to_users', 'ALTER TABLE users ADD age_verified_at timestamp;'],
  ),
  ...post(
    '4.4.0',
    [
      '20240918170954',
      'remove_settings_thing',
      `
DELETE FROM settings WHERE thing_id IS NOT NULL;
ALTER TABLE settings DROP thing_type, DROP thing_id;
CREATE UNIQUE INDEX index_settings_on_var ON settings (var);`,
    ],
    [
      '20250520192024',
      'remove_legacy_devise_two_factor_secrets_from_users',
      'ALTER TABLE users DROP encrypted_otp_secret, DROP encrypted_otp_secret_iv, DROP encrypted_otp_secret_salt;',
    ],
  ),
  ...pre(
    '4.5.0',
    [
      '20250924170259',
      'add_id_scheme_to_accounts',
      `
ALTER TABLE accounts ADD id_scheme integer DEFAULT 0, ADD following_url varchar NOT NULL DEFAULT '';
ALTER TABLE accounts ALTER id_scheme SET DEFAULT 1;`,
    ],
    [
      '20251023210145',
      'create_username_blocks',
      `
CREATE TABLE username_blocks (
  id bigserial PRIMARY KEY,
  username varchar NOT NULL,
  normalized_username varchar NOT NULL UNIQUE,
  exact boolean NOT NULL DEFAULT false,
  allow_with_approval boolean NOT NULL DEFAULT false,
  ${timestamps}
);`,
    ],
  ),
  ...pre(
    '4.6.0',
    [
      '20251119093332',
      'create_collections',
      `
CREATE TABLE collections (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts,
  name varchar NOT NULL,
  local boolean NOT NULL,
  tag_id bigint REFERENCES tags,
  uri varchar,
  ${timestamps}
);
CREATE TABLE collection_items (
  id bigserial PRIMARY KEY,
  collection_id bigint NOT NULL REFERENCES collections ON DELETE CASCADE,
  account_id bigint REFERENCES accounts,
  ${timestamps}
);
CREATE TABLE tagged_objects (
  id bigserial PRIMARY KEY,
  status_id bigint NOT NULL REFERENCES statuses ON DELETE CASCADE,
  object_type varchar,
  object_id bigint,
  uri varchar,
  ${timestamps}
);`,
    ],
    [
      '20260302143919',
      'create_keypairs',
      `
CREATE TABLE keypairs (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  uri varchar UNIQUE,
  type integer NOT NULL,
  public_key varchar NOT NULL,
  private_key varchar,
  expires_at timestamp,
  revoked boolean NOT NULL DEFAULT false,
  ${timestamps}
);
CREATE INDEX index_keypairs_on_account_id ON keypairs (account_id);`,
    ],
    [
      '20260611150940',
      'add_require_2fa_to_user_roles',
      'ALTER TABLE user_roles ADD require_2fa boolean NOT NULL DEFAULT false;',
    ],
  ),
  ...pre(
    '4.7.0',
    [
      '20260701120000',
      'prepare_accounts_for_unique_uri',
      'ALTER TABLE accounts ALTER uri DROP NOT NULL, ALTER uri DROP DEFAULT;',
    ],
    [
      '20260728140000',
      'add_requested_deletion_at_to_accounts',
      'ALTER TABLE accounts ADD requested_deletion_at timestamp;',
    ],
    [
      '20260812154114',
      'create_software_deprecations',
      `
CREATE TABLE software_deprecations (
  id bigserial PRIMARY KEY,
  version varchar NOT NULL UNIQUE,
  end_of_support_on date,
  ${timestamps}
);`,
    ],
  ),
  ...post(
    '4.7.0',
    // The application encrypts the private key with the ACTIVE_RECORD_ENCRYPTION_* keys; SQL moves the text as it is.
    [
      '20260702144128',
      'migrate_local_account_keypairs',
      `
INSERT INTO keypairs (account_id, uri, type, public_key, private_key, created_at, updated_at)
  SELECT id, NULL, 0, public_key, private_key, now(), now() FROM accounts
  WHERE domain IS NULL AND private_key IS NOT NULL;
UPDATE accounts SET public_key = '', private_key = NULL WHERE domain IS NULL AND private_key IS NOT NULL;`,
    ],
    ['20260720100326', 'fix_blank_account_uri', "UPDATE accounts SET uri = NULL WHERE uri = '';"],
    [
      '20260720104058',
      'add_unique_index_on_accounts_uri',
      `
DROP INDEX index_accounts_on_uri;
CREATE UNIQUE INDEX index_accounts_on_uri ON accounts (uri);`,
    ],
    [
      '20260728145507',
      'backfill_account_requested_deletion_at',
      `
UPDATE accounts SET requested_deletion_at = suspended_at
  WHERE domain IS NULL AND suspended_at IS NOT NULL AND NOT EXISTS (SELECT FROM users WHERE account_id = accounts.id);`,
    ],
    [
      '20260804081821',
      'convert_materialized_views_to_tables',
      `
DROP MATERIALIZED VIEW account_summaries;
DROP MATERIALIZED VIEW global_follow_recommendations;
CREATE TABLE account_summaries (account_id bigint PRIMARY KEY REFERENCES accounts ON DELETE CASCADE, language varchar, sensitive boolean);
CREATE TABLE global_follow_recommendations (account_id bigint PRIMARY KEY REFERENCES accounts ON DELETE CASCADE, rank numeric NOT NULL);`,
    ],
  ),
]
