import type { Answers } from '../../setup/questions.js'

/** Uploads of videos are up to 99 MB (Mastodon's own limit, 4.x). */
const LARGEST_UPLOAD = '99m'

/** Returns what is to be written into the configuration of a reverse proxy on this machine. */
export function proxyBlocks(answers: Answers): Record<'nginx' | 'caddy', string> {
  return { nginx: nginx(answers), caddy: caddy(answers) }
}

function namesOf(answers: Answers): { pages: string; moved: string | undefined } {
  const { domain = '', 'web-domain': webDomain = '' } = answers
  return { pages: webDomain || domain, moved: webDomain === '' ? undefined : domain }
}

function caddy(answers: Answers): string {
  const { pages, moved } = namesOf(answers)
  const { listen, 'web-port': web, 'streaming-port': streaming } = answers
  return [
    `${pages} {`,
    '  encode gzip',
    `  reverse_proxy /api/v1/streaming* ${listen}:${streaming}`,
    `  reverse_proxy ${listen}:${web}`,
    '}',
    ...(moved === undefined ? [] : [`${moved} {`, `  redir /.well-known/webfinger* https://${pages}{uri} 301`, '}']),
  ].join('\n')
}

function nginx(answers: Answers): string {
  const { pages, moved } = namesOf(answers)
  const { listen, 'web-port': web, 'streaming-port': streaming } = answers
  return [
    ...serverHead(pages),
    `  client_max_body_size ${LARGEST_UPLOAD};`,
    ...location('/', `${listen}:${web}`),
    ...location('/api/v1/streaming', `${listen}:${streaming}`, SOCKET),
    '}',
    ...(moved === undefined ? [] : redirect(moved, pages)),
  ].join('\n')
}

function serverHead(name: string): string[] {
  return [
    'server {',
    '  listen 443 ssl;',
    `  server_name ${name};`,
    `  ssl_certificate /etc/letsencrypt/live/${name}/fullchain.pem;`,
    `  ssl_certificate_key /etc/letsencrypt/live/${name}/privkey.pem;`,
  ]
}

const SOCKET = [
  'proxy_set_header Upgrade $http_upgrade;',
  'proxy_set_header Connection "upgrade";',
  'proxy_buffering off;',
]

/** Mastodon redirects for ever where it is not told that visitors came by https; streaming needs the upgrade. */
function location(path: string, target: string, more: readonly string[] = []): string[] {
  return [
    `  location ${path} {`,
    `    proxy_pass http://${target};`,
    '    proxy_http_version 1.1;',
    '    proxy_set_header Host $host;',
    '    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    '    proxy_set_header X-Forwarded-Proto https;',
    ...more.map(line => `    ${line}`),
    '  }',
  ]
}

function redirect(moved: string, pages: string): string[] {
  return [
    ...serverHead(moved),
    '  location /.well-known/webfinger {',
    `    return 301 https://${pages}$request_uri;`,
    '  }',
    '}',
  ]
}
