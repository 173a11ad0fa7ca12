import { type Columns, type Era, followOn, insert, stamped, when } from './era.js'

/** The sandbox's own domain. Like every name here it is reserved for examples (RFC 2606). */
export const demoDomain = 'social.example'

/** Remote servers and the share of the remote accounts that each holds, in percent. */
const servers: readonly (readonly [domain: string, percent: number])[] = [
  ['example.net', 36],
  ['social.example.org', 22],
  ['photos.example.net', 14],
  ['town.example', 10],
  ['example.org', 8],
  ['library.example', 5],
  ['relay.example.com', 3],
  ['tiny.example.net', 2],
]

/** Local accounts have ids below this, remote ones stand in a row above it. */
export const firstRemoteId = 101

const alice = 1
const bob = 2
const carol = 3

/** Shaped like bcrypt's output, and the hash of nothing. */
const unusableHash = `'$2a$10$${'x'.repeat(53)}'`

/** Local and remote accounts, the users of the local ones, and how those log in. */
export function people(era: Era, remoteAccounts: number): string[] {
  return [
    ...localAccounts(era),
    remoteAccountRows(era, remoteAccounts),
    followOn('accounts'),
    ...(era.has('4.0.0') ? roles() : []),
    ...users(era),
    ...(era.has('3.3.0') ? [securityKey()] : []),
    ...sessions(era),
  ]
}

function localAccounts(era: Era): string[] {
  const names: [number, string][] = [
    [alice, 'alice'],
    [bob, 'bob'],
    [carol, 'carol'],
  ]
  if (era.has('3.0.0')) names.push([-99, demoDomain])
  return names.flatMap(([id, name]) => localAccount(era, id, name))
}

/** Key pairs stand in a table of their own from 4.7 on. The text in place of a key is no key. */
function localAccount(era: Era, id: number, name: string): string[] {
  const keys = { public_key: `'sandbox public key of ${name}'`, private_key: `'sandbox private key of ${name}'` }
  const account = insert('accounts', {
    id: `${id}`,
    username: `'${name}'`,
    display_name: `initcap('${name}')`,
    note: `'An account of the sandbox'`,
    ...stamped("now() - interval '400 days'"),
    ...when(era.has('1.3.0', '4.7.0'), keys),
    ...when(id === -99, { actor_type: "'Application'", locked: 'true' }),
  })
  if (!era.has('4.7.0')) return [account]
  return [account, insert('keypairs', { account_id: `${id}`, type: '0', ...keys, ...stamped() })]
}

function remoteAccountRows(era: Era, count: number): string {
  const at = `'https://' || domain || '/users/person' || i`
  return insert(
    'accounts',
    {
      id: `${firstRemoteId - 1} + i`,
      username: "'person' || i",
      domain: 'domain',
      display_name: "'Person ' || i",
      uri: at,
      url: `'https://' || domain || '/@person' || i`,
      public_key: "'sandbox public key of person' || i",
      last_webfingered_at: "now() - interval '2 days'",
      ...stamped("now() - interval '300 days' + i * interval '10 minutes'"),
      ...when(era.has('1.5.0'), {
        protocol: '1',
        inbox_url: `${at} || '/inbox'`,
        shared_inbox_url: `'https://' || domain || '/inbox'`,
      }),
    },
    `FROM (SELECT i, ${domainOf('i', count)} AS domain FROM generate_series(1, ${count}) i) people`,
  )
}

/** The server of the i-th remote account: the first ones live on the largest server. */
function domainOf(i: string, count: number): string {
  let reached = 0
  const branches = servers.map(([domain, percent]) => {
    reached += percent
    return `WHEN ${i} <= ceil(${count} * ${reached} / 100.0) THEN '${domain}'`
  })
  return `CASE ${branches.join(' ')} END`
}

/** What db:seed makes from 4.0.0 on; the post-deployment migration of 4.0.0 may have made them already. */
function roles(): string[] {
  const everyone =
    'INSERT INTO user_roles (id, name, position, permissions, created_at, updated_at) ' +
    "VALUES (-99, '', -1, 65536, now(), now()) ON CONFLICT DO NOTHING"
  const named = [
    ['Moderator', 10, 1308],
    ['Admin', 100, 983_036],
    ['Owner', 1000, 1],
  ].map(([name, position, permissions]) =>
    insert(
      'user_roles',
      { name: `'${name}'`, position: `${position}`, permissions: `${permissions}`, highlighted: 'true', ...stamped() },
      `WHERE NOT EXISTS (SELECT FROM user_roles WHERE name = '${name}')`,
    ),
  )
  return [everyone, ...named]
}

/** alice runs the server and has two-factor on, bob never confirmed his address, carol moderates. */
function users(era: Era): string[] {
  return [
    insert('users', {
      ...user(era, alice, 'alice@example.com'),
      ...confirmed(era),
      ...when(era.has('1.3.0', '4.3.0'), { admin: 'true' }),
      ...when(era.has('4.0.0'), { role_id: "(SELECT id FROM user_roles WHERE name = 'Owner')" }),
      ...twoFactor(era),
    }),
    insert('users', {
      ...user(era, bob, `bob@${demoDomain}`),
      confirmation_token: "'sandbox-confirmation-token'",
      confirmation_sent_at: "now() - interval '1 hour'",
      ...when(era.has('2.8.0'), { approved: 'false' }),
    }),
    insert('users', {
      ...user(era, carol, `carol@${demoDomain}`),
      ...confirmed(era),
      ...when(era.has('2.1.0', '4.3.0'), { moderator: 'true' }),
      ...when(era.has('4.0.0'), { role_id: "(SELECT id FROM user_roles WHERE name = 'Moderator')" }),
    }),
    followOn('users'),
  ]
}

function user(era: Era, id: number, email: string): Columns {
  return {
    id: `${id}`,
    account_id: `${id}`,
    email: `'${email}'`,
    encrypted_password: unusableHash,
    locale: "'en'",
    ...stamped("now() - interval '400 days'"),
    ...when(era.has('1.3.0', '4.3.0'), { admin: 'false' }),
    ...when(era.has('1.3.0', '1.5.0'), { otp_required_for_login: 'false' }),
    ...when(era.has('2.8.0'), { approved: 'true' }),
    ...when(era.has('3.3.0'), { sign_up_ip: "'192.0.2.17'" }),
  }
}

function confirmed(era: Era): Columns {
  return {
    confirmed_at: "now() - interval '399 days'",
    sign_in_count: '42',
    current_sign_in_at: "now() - interval '3 hours'",
    last_sign_in_at: "now() - interval '2 days'",
    ...when(era.has('1.3.0', '3.5.0'), { current_sign_in_ip: "'192.0.2.17'", last_sign_in_ip: "'192.0.2.17'" }),
  }
}

function twoFactor(era: Era): Columns {
  return {
    otp_required_for_login: 'true',
    consumed_timestep: '50000000',
    otp_backup_codes: `ARRAY[${unusableHash}, ${unusableHash}, ${unusableHash}]`,
    ...when(era.has('1.3.0', '4.4.0'), {
      encrypted_otp_secret: "'sandbox-otp-secret'",
      encrypted_otp_secret_iv: "'sandbox-iv'",
      encrypted_otp_secret_salt: "'_sandbox-salt'",
    }),
    ...when(era.has('4.3.0'), { otp_secret: "'sandbox-otp-secret'" }),
    ...when(era.has('3.3.0'), { webauthn_id: "'sandbox-webauthn-id'" }),
  }
}

function securityKey(): string {
  return insert('webauthn_credentials', {
    external_id: "'sandbox-credential'",
    public_key: "'sandbox-credential-public-key'",
    nickname: "'blue key'",
    sign_count: '7',
    user_id: `${alice}`,
    ...stamped("now() - interval '90 days'"),
  })
}

/** Browser sessions with their tokens, and push subscriptions for two of them. */
function sessions(era: Era): string[] {
  const application = insert('oauth_applications', {
    name: "'Web'",
    uid: "'sandbox-web-uid'",
    secret: "'sandbox-web-secret'",
    redirect_uri: "'urn:ietf:wg:oauth:2.0:oob'",
    scopes: "'read write follow'",
    superapp: 'true',
    ...stamped(),
  })
  const tokens = insert(
    'oauth_access_tokens',
    {
      resource_owner_id: 'id',
      application_id: '(SELECT max(id) FROM oauth_applications)',
      token: "'sandbox-token-' || id",
      scopes: "'read write follow'",
      created_at: "now() - interval '3 hours'",
    },
    'FROM users WHERE confirmed_at IS NOT NULL ORDER BY id',
  )
  return [application, tokens, ...pushSubscriptions(era), ...sessionActivations(era)]
}

function pushSubscriptions(era: Era): string[] {
  if (!era.has('1.5.0')) return []
  const columns = {
    endpoint: "'https://push.example.com/subscriptions/' || id",
    key_p256dh: "'sandbox-p256dh-' || id",
    key_auth: "'sandbox-auth-' || id",
    data: `'{"alerts":{"mention":true}}'`,
    ...stamped(),
    ...when(era.has('2.4.0'), { access_token_id: 'id', user_id: 'resource_owner_id' }),
  }
  return [insert('web_push_subscriptions', columns, 'FROM oauth_access_tokens ORDER BY id')]
}

function sessionActivations(era: Era): string[] {
  if (!era.has('1.4.7')) return []
  const columns = {
    user_id: 'resource_owner_id',
    session_id: "'sandbox-session-' || id",
    user_agent: "'Mozilla/5.0 (sandbox)'",
    ip: "'192.0.2.17'",
    access_token_id: 'id',
    ...stamped("now() - interval '3 hours'"),
    ...when(era.has('1.5.0'), {
      web_push_subscription_id: "(SELECT w.id FROM web_push_subscriptions w WHERE key_auth = 'sandbox-auth-' || t.id)",
    }),
  }
  return [insert('session_activations', columns, 'FROM oauth_access_tokens t ORDER BY t.id')]
}
