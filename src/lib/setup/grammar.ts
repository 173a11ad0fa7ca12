import { isForSetup, OLDEST_FOR_SETUP } from '../mastodon/new-instance/processes.js'
import { newestRelease, releaseOf } from '../mastodon/releases.js'
import { MastodonVersion } from '../mastodon/version.js'

/** Returns what is wrong with a word, in a sentence; undefined where nothing is. */
export type Grammar = (value: string) => string | undefined

/* biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** Source of the alphabet: lib/tasks/mastodon.rake (all versions). The rest is what a name in the DNS can be. */
export const domain: Grammar = value => {
  if (value.includes('://')) return 'A domain is written without https:// in front.'
  if (/[/?#@]/.test(value)) return 'A domain has no path, no name of a person and no address behind it.'
  if (value.includes(':')) return 'A domain is written without a port: Mastodon is reached by https alone.'
  if (/[A-Z]/.test(value)) return 'A domain is written in small letters.'
  if (!/^[a-z0-9.-]+$/.test(value)) return 'Only a-z, 0-9, dots and dashes; other scripts in their xn-- form.'
  if (/^[\d.]+$/.test(value)) return 'An address of numbers is no domain: other servers know people by a name.'
  if (value.length > 253) return 'It is longer than 253 characters.'
  const labels = value.split('.')
  if (labels.length < 2) return 'It needs a dot: other servers cannot find a name of one word.'
  return labels.every(label => LABEL.test(label))
    ? undefined
    : 'Each part between two dots starts and ends with a letter or digit.'
}

/** `owner`, when Mastodon takes the name for a local person: letters, digits, underscores, at most 30 (app/models/account.rb). */
export const username: Grammar = value => {
  if (value.includes('@')) return 'The name stands without @ and domain.'
  if (!/^[A-Za-z0-9_]+$/.test(value)) return 'Only letters, digits and underscores.'
  if (value.length > 30) return 'It is longer than 30 characters.'
  return RESERVED.includes(value.toLowerCase()) ? 'Mastodon keeps this name from being taken.' : undefined
}

/** `reserved_usernames` of config/settings.yml. */
const RESERVED = ['admin', 'administrator', 'help', 'mod', 'moderator', 'root', 'support', 'webmaster']

export const email: Grammar = value => {
  const [name, host, ...more] = value.split('@')
  if (!name || !host || more.length > 0) return 'An e-mail address is NAME@DOMAIN.'
  if (!/^[^\s"'\\;,:<>()[\]\p{Cc}]+$/u.test(name)) return 'The part before the @ has a character that Mastodon refuses.'
  const wrong = domain(host.toLowerCase())
  return wrong === undefined ? undefined : `The part behind the @ is no domain. ${wrong}`
}

export const release: Grammar = value => {
  const version = MastodonVersion.parse(value)
  if (version === undefined) return 'A release is named by its whole number, like 4.5.3.'
  if (!isForSetup(version)) return `A new instance starts with ${OLDEST_FOR_SETUP} or newer.`
  if (releaseOf(version) !== undefined) return undefined
  return `This release is not known here; the newest known one is ${newestRelease()}.`
}

export const port: Grammar = value => {
  const number = Number(value)
  const isPort = /^\d{1,5}$/.test(value) && number >= 1 && number <= 65_535
  return isPort ? undefined : 'A port is a number from 1 to 65535.'
}

/** A server's name: like a domain, or one word, or an IPv4 address. */
export const host: Grammar = value => {
  if (value.includes('://')) return 'A server is named without smtp:// or https:// in front.'
  if (value.includes(':')) return 'The port is asked for by itself.'
  const isHost =
    value.length <= 253 && value.split('.').every(label => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})$/.test(label))
  return isHost ? undefined : 'A server is named by its domain or address.'
}

export const text: Grammar = value =>
  CONTROL.test(value) ? 'It holds a control character or a line break.' : undefined

/** A text that is no longer than `most` characters. */
export const textUpTo =
  (most: number): Grammar =>
  value =>
    [...value].length > most ? `It is longer than ${most} characters.` : text(value)

export const httpsAddress: Grammar = value => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return 'An address starts with https:// or http://.'
  if (url.username !== '' || url.password !== '') return 'An address holds no password.'
  return text(value)
}

export const absolutePath: Grammar = value => {
  if (!value.startsWith('/')) return 'A path starts with /.'
  return /^\/[\w@%+=.,/-]*$/.test(value) && !value.split('/').includes('..')
    ? undefined
    : 'Letters, digits and - _ . / only, and no "..".'
}

export const bucket: Grammar = value =>
  /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value)
    ? undefined
    : 'A bucket is named by 3 to 63 small letters, digits, dots and dashes.'

/** An image, or what stands in front of its last name. */
export const image: Grammar = value =>
  /^[a-z0-9]+([._:-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w][\w.-]{0,127})?$/.test(value)
    ? undefined
    : 'An image is named like registry.example/path/name:tag.'

export const imagePrefix: Grammar = value =>
  value.endsWith('/')
    ? 'It stands without a / at its end.'
    : /:[^/]*$/.test(value.replace(/^[^/]*/, ''))
      ? 'It stands without a tag: the release says it.'
      : image(value)

/** One or several addresses or networks, as TRUSTED_PROXY_IP takes them. */
export const addresses: Grammar = value => {
  const isOne = (part: string) =>
    /^(\d{1,3}\.){3}\d{1,3}(\/\d{1,2})?$/.test(part) || /^[0-9a-fA-F:]*:[0-9a-fA-F:]+(\/\d{1,3})?$/.test(part)
  const parts = value.split(',').map(part => part.trim())
  const inRange = parts.every(
    part =>
      part.includes(':') ||
      part
        .split(/[./]/)
        .slice(0, 4)
        .every(n => Number(n) <= 255),
  )
  return parts.every(isOne) && inRange
    ? undefined
    : 'Addresses like 203.0.113.7 or 10.0.0.0/8, with commas between them.'
}

/** The address of this machine at which the ports are opened. */
export const listenAddress: Grammar = value =>
  addresses(value) === undefined && !/[,/]/.test(value) && !value.includes(':')
    ? undefined
    : 'One IPv4 address, like 127.0.0.1.'
