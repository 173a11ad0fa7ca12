import { type Migration, pre, timestamps } from './migration.js'

/**
 * Mastodon 1.3 to 1.6: integer keys, OStatus (stream_entries, subscriptions), counters kept on the rows themselves.
 */
export const era1: readonly Migration[] = [
  ...pre(
    '1.3.0',
    [
      '20160220174730',
      'create_accounts',
      `
CREATE TABLE IF NOT EXISTS schema_migrations (version varchar PRIMARY KEY);
CREATE TABLE IF NOT EXISTS ar_internal_metadata (key varchar PRIMARY KEY, value varchar, ${timestamps});
INSERT INTO ar_internal_metadata VALUES ('environment', 'production', now(), now()) ON CONFLICT DO NOTHING;
CREATE TABLE accounts (
  id serial PRIMARY KEY,
  username varchar NOT NULL DEFAULT '',
  domain varchar,
  secret varchar NOT NULL DEFAULT '',
  private_key text,
  public_key text NOT NULL DEFAULT '',
  remote_url varchar NOT NULL DEFAULT '',
  salmon_url varchar NOT NULL DEFAULT '',
  hub_url varchar NOT NULL DEFAULT '',
  ${timestamps},
  note text NOT NULL DEFAULT '',
  display_name varchar NOT NULL DEFAULT '',
  uri varchar NOT NULL DEFAULT '',
  url varchar,
  avatar_file_name varchar,
  avatar_content_type varchar,
  avatar_file_size integer,
  avatar_updated_at timestamp,
  avatar_remote_url varchar,
  header_file_name varchar,
  header_content_type varchar,
  header_file_size integer,
  header_updated_at timestamp,
  header_remote_url varchar NOT NULL DEFAULT '',
  subscription_expires_at timestamp,
  silenced boolean NOT NULL DEFAULT false,
  suspended boolean NOT NULL DEFAULT false,
  locked boolean NOT NULL DEFAULT false,
  statuses_count integer NOT NULL DEFAULT 0,
  followers_count integer NOT NULL DEFAULT 0,
  following_count integer NOT NULL DEFAULT 0,
  last_webfingered_at timestamp
);
CREATE UNIQUE INDEX index_accounts_on_username_and_domain ON accounts (username, domain);
CREATE INDEX index_accounts_on_username_and_domain_lower ON accounts (lower(username), lower(domain));
CREATE INDEX index_accounts_on_url ON accounts (url);
CREATE INDEX index_accounts_on_uri ON accounts (uri);`,
    ],
    [
      '20160220211917',
      'create_statuses',
      `
CREATE TABLE statuses (
  id bigserial PRIMARY KEY,
  uri varchar,
  account_id integer NOT NULL,
  text text NOT NULL DEFAULT '',
  ${timestamps},
  in_reply_to_id bigint REFERENCES statuses ON DELETE SET NULL,
  reblog_of_id bigint REFERENCES statuses ON DELETE CASCADE,
  url varchar,
  sensitive boolean DEFAULT false,
  visibility integer NOT NULL DEFAULT 0,
  in_reply_to_account_id integer,
  application_id integer,
  spoiler_text text NOT NULL DEFAULT '',
  reply boolean DEFAULT false,
  favourites_count integer NOT NULL DEFAULT 0,
  reblogs_count integer NOT NULL DEFAULT 0,
  language varchar NOT NULL DEFAULT 'en'
);
CREATE UNIQUE INDEX index_statuses_on_uri ON statuses (uri);
CREATE INDEX index_statuses_on_account_id ON statuses (account_id);
CREATE INDEX index_statuses_on_in_reply_to_id ON statuses (in_reply_to_id);
CREATE INDEX index_statuses_on_reblog_of_id ON statuses (reblog_of_id);`,
    ],
    [
      '20160221003140',
      'create_users',
      `
CREATE TABLE users (
  id serial PRIMARY KEY,
  email varchar NOT NULL DEFAULT '',
  account_id integer NOT NULL,
  ${timestamps},
  encrypted_password varchar NOT NULL DEFAULT '',
  reset_password_token varchar,
  reset_password_sent_at timestamp,
  remember_created_at timestamp,
  sign_in_count integer NOT NULL DEFAULT 0,
  current_sign_in_at timestamp,
  last_sign_in_at timestamp,
  current_sign_in_ip inet,
  last_sign_in_ip inet,
  admin boolean DEFAULT false,
  confirmation_token varchar,
  confirmed_at timestamp,
  confirmation_sent_at timestamp,
  unconfirmed_email varchar,
  locale varchar,
  last_emailed_at timestamp
);
CREATE UNIQUE INDEX index_users_on_email ON users (email);
CREATE UNIQUE INDEX index_users_on_confirmation_token ON users (confirmation_token);
CREATE UNIQUE INDEX index_users_on_reset_password_token ON users (reset_password_token);
CREATE INDEX index_users_on_account_id ON users (account_id);`,
    ],
    [
      '20160221003621',
      'create_follows',
      `
CREATE TABLE follows (id serial PRIMARY KEY, account_id integer NOT NULL, target_account_id integer NOT NULL, ${timestamps});
CREATE UNIQUE INDEX index_follows_on_account_id_and_target_account_id ON follows (account_id, target_account_id);`,
    ],
    [
      '20160222122600',
      'create_stream_entries',
      `
CREATE TABLE stream_entries (
  id serial PRIMARY KEY,
  account_id integer,
  activity_id bigint,
  activity_type varchar,
  hidden boolean NOT NULL DEFAULT false,
  ${timestamps}
);
CREATE INDEX index_stream_entries_on_account_id ON stream_entries (account_id);
CREATE INDEX index_stream_entries_on_activity_id_and_activity_type ON stream_entries (activity_id, activity_type);`,
    ],
    [
      '20160223171800',
      'create_favourites',
      `
CREATE TABLE favourites (id serial PRIMARY KEY, account_id integer NOT NULL, status_id bigint NOT NULL, ${timestamps});
CREATE UNIQUE INDEX index_favourites_on_account_id_and_status_id ON favourites (account_id, status_id);
CREATE INDEX index_favourites_on_status_id ON favourites (status_id);`,
    ],
    [
      '20160224223247',
      'create_mentions',
      `
CREATE TABLE mentions (id serial PRIMARY KEY, account_id integer, status_id bigint, ${timestamps});
CREATE UNIQUE INDEX index_mentions_on_account_id_and_status_id ON mentions (account_id, status_id);
CREATE INDEX index_mentions_on_status_id ON mentions (status_id);`,
    ],
    [
      '20160306172223',
      'create_doorkeeper_tables',
      `
CREATE TABLE oauth_applications (
  id serial PRIMARY KEY,
  name varchar NOT NULL,
  uid varchar NOT NULL,
  secret varchar NOT NULL,
  redirect_uri text NOT NULL,
  scopes varchar NOT NULL DEFAULT '',
  created_at timestamp,
  updated_at timestamp,
  superapp boolean NOT NULL DEFAULT false,
  website varchar
);
CREATE UNIQUE INDEX index_oauth_applications_on_uid ON oauth_applications (uid);
CREATE TABLE oauth_access_grants (
  id serial PRIMARY KEY,
  resource_owner_id integer NOT NULL,
  application_id integer NOT NULL,
  token varchar NOT NULL UNIQUE,
  expires_in integer NOT NULL,
  redirect_uri text NOT NULL,
  created_at timestamp NOT NULL,
  revoked_at timestamp,
  scopes varchar
);
CREATE TABLE oauth_access_tokens (
  id serial PRIMARY KEY,
  resource_owner_id integer,
  application_id integer,
  token varchar NOT NULL,
  refresh_token varchar,
  expires_in integer,
  revoked_at timestamp,
  created_at timestamp NOT NULL,
  scopes varchar
);
CREATE UNIQUE INDEX index_oauth_access_tokens_on_token ON oauth_access_tokens (token);`,
    ],
    [
      '20160905150353',
      'create_media_attachments',
      `
CREATE TABLE media_attachments (
  id serial PRIMARY KEY,
  status_id bigint REFERENCES statuses ON DELETE SET NULL,
  file_file_name varchar,
  file_content_type varchar,
  file_file_size integer,
  file_updated_at timestamp,
  remote_url varchar NOT NULL DEFAULT '',
  account_id integer,
  ${timestamps},
  shortcode varchar,
  type integer NOT NULL DEFAULT 0
);
CREATE INDEX index_media_attachments_on_status_id ON media_attachments (status_id);
CREATE UNIQUE INDEX index_media_attachments_on_shortcode ON media_attachments (shortcode);`,
    ],
    [
      '20161003145426',
      'create_blocks',
      `
CREATE TABLE blocks (id serial PRIMARY KEY, account_id integer NOT NULL, target_account_id integer NOT NULL, ${timestamps});
CREATE UNIQUE INDEX index_blocks_on_account_id_and_target_account_id ON blocks (account_id, target_account_id);`,
    ],
    [
      '20161006213403',
      'create_settings',
      `
CREATE TABLE settings (
  id serial PRIMARY KEY,
  var varchar NOT NULL,
  value text,
  thing_type varchar,
  thing_id integer,
  created_at timestamp,
  updated_at timestamp
);
CREATE UNIQUE INDEX index_settings_on_thing_type_and_thing_id_and_var ON settings (thing_type, thing_id, var);`,
    ],
    [
      '20161009120834',
      'create_domain_blocks',
      `
CREATE TABLE domain_blocks (
  id serial PRIMARY KEY,
  domain varchar NOT NULL DEFAULT '' UNIQUE,
  severity integer DEFAULT 0,
  reject_media boolean NOT NULL DEFAULT false,
  ${timestamps}
);`,
    ],
    [
      '20161104173623',
      'create_tags',
      `
CREATE TABLE tags (id serial PRIMARY KEY, name varchar NOT NULL DEFAULT '', ${timestamps});
CREATE UNIQUE INDEX index_tags_on_name ON tags (name);
CREATE TABLE statuses_tags (status_id bigint NOT NULL, tag_id integer NOT NULL);
CREATE UNIQUE INDEX index_statuses_tags_on_tag_id_and_status_id ON statuses_tags (tag_id, status_id);`,
    ],
    [
      '20161119211120',
      'create_notifications',
      `
CREATE TABLE notifications (
  id serial PRIMARY KEY,
  account_id integer,
  activity_id bigint,
  activity_type varchar,
  from_account_id integer,
  ${timestamps}
);
CREATE UNIQUE INDEX account_activity ON notifications (account_id, activity_id, activity_type);
CREATE INDEX index_notifications_on_activity_id_and_activity_type ON notifications (activity_id, activity_type);`,
    ],
    [
      '20161128103007',
      'create_subscriptions',
      `
CREATE TABLE subscriptions (
  id serial PRIMARY KEY,
  callback_url varchar NOT NULL DEFAULT '',
  secret varchar,
  expires_at timestamp,
  confirmed boolean NOT NULL DEFAULT false,
  account_id integer NOT NULL,
  last_successful_delivery_at timestamp,
  ${timestamps}
);
CREATE UNIQUE INDEX index_subscriptions_on_callback_url_and_account_id ON subscriptions (callback_url, account_id);`,
    ],
    [
      '20161222204147',
      'create_follow_requests',
      `
CREATE TABLE follow_requests (id serial PRIMARY KEY, account_id integer NOT NULL, target_account_id integer NOT NULL, ${timestamps});
CREATE UNIQUE INDEX index_follow_requests_on_account_id_and_target_account_id ON follow_requests (account_id, target_account_id);`,
    ],
    [
      '20170109120109',
      'create_web_settings',
      `
CREATE TABLE web_settings (id serial PRIMARY KEY, user_id integer, data json, ${timestamps});
CREATE UNIQUE INDEX index_web_settings_on_user_id ON web_settings (user_id);`,
    ],
    [
      '20170119214911',
      'create_preview_cards',
      `
CREATE TABLE preview_cards (
  id serial PRIMARY KEY,
  status_id bigint,
  url varchar NOT NULL DEFAULT '',
  title varchar,
  description varchar,
  image_file_name varchar,
  image_content_type varchar,
  image_file_size integer,
  image_updated_at timestamp,
  ${timestamps}
);
CREATE UNIQUE INDEX index_preview_cards_on_status_id ON preview_cards (status_id);`,
    ],
    [
      '20170127165745',
      'add_devise_two_factor_to_users',
      `
ALTER TABLE users
  ADD encrypted_otp_secret varchar,
  ADD encrypted_otp_secret_iv varchar,
  ADD encrypted_otp_secret_salt varchar,
  ADD consumed_timestep integer,
  ADD otp_required_for_login boolean;`,
    ],
    [
      '20170214110202',
      'create_reports',
      `
CREATE TABLE reports (
  id serial PRIMARY KEY,
  account_id integer NOT NULL,
  target_account_id integer NOT NULL,
  status_ids bigint[] NOT NULL DEFAULT '{}',
  comment text NOT NULL DEFAULT '',
  action_taken boolean NOT NULL DEFAULT false,
  action_taken_by_account_id integer,
  ${timestamps}
);
CREATE INDEX index_reports_on_account_id ON reports (account_id);`,
    ],
    [
      '20170301222600',
      'create_mutes',
      `
CREATE TABLE mutes (id serial PRIMARY KEY, account_id integer NOT NULL, target_account_id integer NOT NULL, ${timestamps});
CREATE UNIQUE INDEX index_mutes_on_account_id_and_target_account_id ON mutes (account_id, target_account_id);`,
    ],
    [
      '20170330163835',
      'create_imports',
      `
CREATE TABLE imports (
  id serial PRIMARY KEY,
  account_id integer NOT NULL,
  type integer NOT NULL,
  approved boolean NOT NULL DEFAULT false,
  data_file_name varchar,
  data_content_type varchar,
  data_file_size integer,
  data_updated_at timestamp,
  ${timestamps}
);`,
    ],
    [
      '20170414080609',
      'add_devise_two_factor_backupable_to_users',
      "ALTER TABLE users ADD otp_backup_codes varchar[], ADD allowed_languages varchar[] NOT NULL DEFAULT '{}';",
    ],
    [
      '20170424003227',
      'create_account_domain_blocks',
      `
CREATE TABLE account_domain_blocks (id serial PRIMARY KEY, account_id integer, domain varchar, ${timestamps});
CREATE UNIQUE INDEX index_account_domain_blocks_on_account_id_and_domain ON account_domain_blocks (account_id, domain);`,
    ],
    ['20170425131920', 'add_media_attachment_meta', 'ALTER TABLE media_attachments ADD file_meta json;'],
    [
      '20170425202925',
      'add_oembed_to_preview_cards',
      `
ALTER TABLE preview_cards
  ADD type integer NOT NULL DEFAULT 0,
  ADD html text NOT NULL DEFAULT '',
  ADD author_name varchar NOT NULL DEFAULT '',
  ADD provider_name varchar NOT NULL DEFAULT '',
  ADD width integer NOT NULL DEFAULT 0,
  ADD height integer NOT NULL DEFAULT 0;`,
    ],
  ),
  ...pre(
    '1.4.1',
    [
      '20170506235850',
      'create_conversations',
      `
CREATE TABLE conversations (id bigserial PRIMARY KEY, uri varchar, ${timestamps});
CREATE UNIQUE INDEX index_conversations_on_uri ON conversations (uri);`,
    ],
    [
      '20170507000211',
      'add_conversation_id_to_statuses',
      `
ALTER TABLE statuses ADD conversation_id bigint;
CREATE INDEX index_statuses_on_conversation_id ON statuses (conversation_id);`,
    ],
    [
      '20170520145338',
      'change_language_filter_to_opt_out',
      `
ALTER TABLE users DROP allowed_languages, ADD filtered_languages varchar[] NOT NULL DEFAULT '{}';
CREATE INDEX index_users_on_filtered_languages ON users USING gin (filtered_languages);`,
    ],
  ),
  ...pre(
    '1.4.2',
    [
      '20170604144747',
      'add_foreign_keys_for_accounts',
      `
ALTER TABLE users ADD CONSTRAINT fk_users_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE;
ALTER TABLE statuses ADD CONSTRAINT fk_statuses_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE;
ALTER TABLE media_attachments ADD CONSTRAINT fk_media_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE SET NULL;
ALTER TABLE mentions
  ADD CONSTRAINT fk_mentions_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE,
  ADD CONSTRAINT fk_mentions_status FOREIGN KEY (status_id) REFERENCES statuses ON DELETE CASCADE;
ALTER TABLE favourites
  ADD CONSTRAINT fk_favourites_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE,
  ADD CONSTRAINT fk_favourites_status FOREIGN KEY (status_id) REFERENCES statuses ON DELETE CASCADE;
ALTER TABLE follows
  ADD CONSTRAINT fk_follows_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE,
  ADD CONSTRAINT fk_follows_target FOREIGN KEY (target_account_id) REFERENCES accounts ON DELETE CASCADE;
ALTER TABLE notifications
  ADD CONSTRAINT fk_notifications_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE,
  ADD CONSTRAINT fk_notifications_from FOREIGN KEY (from_account_id) REFERENCES accounts ON DELETE CASCADE;
ALTER TABLE stream_entries ADD CONSTRAINT fk_stream_entries_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE;
ALTER TABLE subscriptions ADD CONSTRAINT fk_subscriptions_account FOREIGN KEY (account_id) REFERENCES accounts ON DELETE CASCADE;`,
    ],
    [
      '20170605164731',
      'add_foreign_keys_for_users',
      `
ALTER TABLE oauth_access_tokens
  ADD CONSTRAINT fk_access_tokens_user FOREIGN KEY (resource_owner_id) REFERENCES users ON DELETE CASCADE,
  ADD CONSTRAINT fk_access_tokens_application FOREIGN KEY (application_id) REFERENCES oauth_applications ON DELETE CASCADE;
ALTER TABLE web_settings ADD CONSTRAINT fk_web_settings_user FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;`,
    ],
    [
      '20170609145826',
      'remove_default_language_from_statuses',
      'ALTER TABLE statuses ALTER language DROP DEFAULT, ALTER language DROP NOT NULL;',
    ],
  ),
  ...pre(
    '1.4.7',
    [
      '20170623152212',
      'create_session_activations',
      `
CREATE TABLE session_activations (
  id serial PRIMARY KEY,
  user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
  session_id varchar NOT NULL,
  ${timestamps},
  user_agent varchar NOT NULL DEFAULT '',
  ip inet
);
CREATE UNIQUE INDEX index_session_activations_on_session_id ON session_activations (session_id);
CREATE INDEX index_session_activations_on_user_id ON session_activations (user_id);`,
    ],
    [
      '20170625140443',
      'add_access_token_id_to_session_activations',
      'ALTER TABLE session_activations ADD access_token_id integer REFERENCES oauth_access_tokens ON DELETE CASCADE;',
    ],
  ),
  ...pre(
    '1.5.0',
    [
      '20170711225116',
      'forbid_null_booleans',
      `
UPDATE users SET otp_required_for_login = coalesce(otp_required_for_login, false), admin = coalesce(admin, false);
ALTER TABLE users
  ALTER otp_required_for_login SET DEFAULT false,
  ALTER otp_required_for_login SET NOT NULL,
  ALTER admin SET NOT NULL;
UPDATE statuses SET sensitive = coalesce(sensitive, false), reply = coalesce(reply, false);
ALTER TABLE statuses ALTER sensitive SET NOT NULL, ALTER reply SET NOT NULL;`,
    ],
    [
      '20170713175513',
      'create_web_push_subscriptions',
      `
CREATE TABLE web_push_subscriptions (
  id serial PRIMARY KEY,
  endpoint varchar NOT NULL,
  key_p256dh varchar NOT NULL,
  key_auth varchar NOT NULL,
  data json,
  ${timestamps}
);`,
    ],
    [
      '20170713190709',
      'add_web_push_subscription_to_session_activations',
      'ALTER TABLE session_activations ADD web_push_subscription_id integer;',
    ],
    [
      '20170718211102',
      'add_activitypub_to_accounts',
      `
ALTER TABLE accounts
  ADD inbox_url varchar NOT NULL DEFAULT '',
  ADD outbox_url varchar NOT NULL DEFAULT '',
  ADD shared_inbox_url varchar NOT NULL DEFAULT '',
  ADD followers_url varchar NOT NULL DEFAULT '',
  ADD protocol integer NOT NULL DEFAULT 0;`,
    ],
    [
      '20170720000000',
      'add_index_favourites_on_account_id_and_id',
      'CREATE INDEX index_favourites_on_account_id_and_id ON favourites (account_id, id);',
    ],
  ),
  ...pre(
    '1.6.0',
    [
      '20170823162448',
      'create_status_pins',
      `
CREATE TABLE status_pins (
  id bigserial PRIMARY KEY,
  account_id integer NOT NULL REFERENCES accounts ON DELETE CASCADE,
  status_id bigint NOT NULL REFERENCES statuses ON DELETE CASCADE
);
CREATE UNIQUE INDEX index_status_pins_on_account_id_and_status_id ON status_pins (account_id, status_id);`,
    ],
    [
      '20170901142658',
      'create_join_table_preview_cards_statuses',
      `
TRUNCATE preview_cards;
ALTER TABLE preview_cards DROP status_id;
ALTER TABLE preview_cards
  ALTER title SET DEFAULT '', ALTER title SET NOT NULL,
  ALTER description SET DEFAULT '', ALTER description SET NOT NULL;
CREATE UNIQUE INDEX index_preview_cards_on_url ON preview_cards (url);
CREATE TABLE preview_cards_statuses (preview_card_id integer NOT NULL, status_id bigint NOT NULL);
CREATE INDEX index_preview_cards_statuses_on_status_id_and_preview_card_id ON preview_cards_statuses (status_id, preview_card_id);`,
    ],
    ['20170905165803', 'add_local_to_statuses', 'ALTER TABLE statuses ADD local boolean;'],
  ),
  ...pre('1.6.1', [
    '20170913000752',
    'create_site_uploads',
    `
CREATE TABLE site_uploads (
  id serial PRIMARY KEY,
  var varchar NOT NULL DEFAULT '' UNIQUE,
  file_file_name varchar,
  file_content_type varchar,
  file_file_size integer,
  file_updated_at timestamp,
  meta json,
  ${timestamps}
);`,
  ]),
]
