import { createHash } from 'node:crypto'
import { isUsable, type SecretNeed } from './secrets.js'

/**
 * SHA-256 of values that everybody can read: config/secrets.yml (to 4.2), .env.test, config/environments/test.rb and
 * .env.development of Mastodon, dev-values.yaml of its chart.
 */
const PUBLISHED: ReadonlySet<string> = new Set([
  '68863673dbe1d72e22ca6ec48033c796f9034eeafe25d05a62dadd08e97e7802',
  '86e6ed54012f6623d8a985d42570e2ed7d63076cf5b9d10913e4f74a0036ad94',
  '211816506a6ae85484b3c844dc93cd29fe8b5cba2b77db655da92091e07af34b',
  'c02755efc6e6c140a391a4132dc766852bbb8d515845db21060ed2aa956ff726',
  '06a2c60aaed212b36b7f73cd41c48d0aa9dcf595f664c76f4a92ffc51f787e29',
  'f1c19aa0c886a02011841f45e33ab8d0faf32b078e48d30e8819bcf385d7bc4a',
  '42541ccd149630cc79a34491ccddc8d5106f6ffeaa577361ae1c987ae9b60e2b',
  'c9a7601f55951b71993be88e0a4885cea72fda37cc8d68aa2a5fa6266a209f78',
  'b30e86071a54e3b5f5eddc7dc6dd5b60909c7e65e793bcc1b9acabd7e802fea2',
  '8b44b56a00129121eb210f11b006aa63e80ba2db21980bd09997d5fec775a9b9',
])

/** What is wrong with a value; `bad` where it does not work or protects nothing, `warn` where it works all the same. */
export interface FormProblem {
  state: 'bad' | 'warn'
  problem: string
}

/** Whether Mastodon itself has published the value, as a sample or for its own tests. */
export function isPublished(value: string): boolean {
  return PUBLISHED.has(createHash('sha256').update(value.trim()).digest('hex'))
}

/** Returns what is wrong with the value of a secret, or undefined. Never quotes it. */
export function formProblem({ name, kind }: SecretNeed, value: string): FormProblem | undefined {
  if (!isUsable(value)) return bad('is a placeholder, which Mastodon does not start with')
  if (isPublished(value)) return bad('is a sample value that Mastodon has published: everybody knows it')
  if (/^\s|\s$/.test(value)) return bad('has white space around it, which becomes a part of it')
  if (kind === 'vapid') return name === 'VAPID_PRIVATE_KEY' ? privateProblem(value) : publicProblem(value)
  return kind === 'hex' ? textProblem(value, HEX, 32) : textProblem(value, LETTERS, 16)
}

interface Form {
  form: RegExp
  called: string
}

const HEX: Form = { form: /^[0-9a-f]{128}$/, called: '128 hexadecimal digits' }
const LETTERS: Form = { form: /^[A-Za-z0-9]{32}$/, called: '32 letters and digits' }

/** Mastodon takes any text for these. */
function textProblem(value: string, { form, called }: Form, least: number): FormProblem | undefined {
  if (form.test(value)) return undefined
  if (value.length < least) return bad(`has only ${value.length} characters: it can be guessed`)
  return {
    state: 'warn',
    problem: `is not of the form that Mastodon makes (${called}); what was made with it needs it`,
  }
}

const BASE64 = /^[A-Za-z0-9_+/-]+=*$/

function privateProblem(value: string): FormProblem | undefined {
  if (BASE64.test(value) && Buffer.from(value, 'base64url').length === 32) return undefined
  return bad('is no private VAPID key (32 bytes in URL-safe base64)')
}

function publicProblem(value: string): FormProblem | undefined {
  const bytes = Buffer.from(value, 'base64url')
  if (BASE64.test(value) && bytes.length === 65 && bytes[0] === 4) return undefined
  return bad('is no public VAPID key (a point of 65 bytes in URL-safe base64)')
}

function bad(problem: string): FormProblem {
  return { state: 'bad', problem }
}
