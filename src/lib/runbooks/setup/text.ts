import type { SetupResult } from './options.js'

/** Returns what is told at the end: what stands, what is left to do, and what the proxy needs. */
export function setupText(result: SetupResult): string {
  const { domain, release, where, owner, role, made, findings, warnings, kept, proxy } = result
  const head = made
    ? `Mastodon ${release} runs for ${domain}; its files are in ${where}.`
    : `Nothing was to be done: ${domain} stands in ${where} as answered.`
  const who = role === null ? [] : [`${owner} can sign in and has the role ${role}.`]
  if (kept.length > 0) who.push(`What stood there before is kept as ${kept.join(', ')}.`)
  const notWell = findings.map(
    ({ id, message, fix }) => `  ${id}: ${message}${fix === undefined ? '' : ` Fix: ${fix}`}`,
  )
  const health = notWell.length === 0 ? ['doctor finds nothing wrong.'] : ['doctor tells:', ...notWell]
  if (!made) return [head, ...health].join('\n')
  return [[head, ...who].join('\n'), health.join('\n'), ...warnings, proxyText(proxy), nextText(result)].join('\n\n')
}

function proxyText({ nginx, caddy }: SetupResult['proxy']): string {
  return ['For a reverse proxy on this machine. Caddy:', indented(caddy), 'nginx:', indented(nginx)].join('\n')
}

function nextText({ domain, owner }: SetupResult): string {
  return [
    'Next:',
    `  1. Let https://${domain} lead here: DNS, certificate, one of the two blocks above.`,
    '  2. mstdn-ops db:backup      and copy the backup to another machine',
    '  3. mstdn-ops doctor',
    `A lost password: mstdn-ops accounts:reset-password ${owner}`,
  ].join('\n')
}

function indented(text: string): string {
  return text.replace(/^/gm, '  ')
}
