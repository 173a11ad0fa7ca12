import type { Standing } from '../mastodon/new-secrets.js'
import { formProblem } from '../mastodon/secret-form.js'
import { isVapidPair, type SecretNeed } from '../mastodon/secrets.js'
import type { KeyFinding } from './finding.js'

const PAIR = ['VAPID_PRIVATE_KEY', 'VAPID_PUBLIC_KEY']

/** Returns what is seen of the secrets by their values alone, a finding for each, and one for the VAPID pair. */
export function findingsOfValues(secrets: readonly SecretNeed[], standing: Standing): KeyFinding[] {
  const findings = secrets.flatMap(secret => [ofValue(secret, standing.stored), ...ofForce(secret, standing)])
  return secrets.some(({ kind }) => kind === 'vapid') ? [...findings, ...ofPair(standing.stored)] : findings
}

function ofValue(secret: SecretNeed, stored: Standing['stored']): KeyFinding {
  const { name, need, kind, breaks } = secret
  const about = { look: 'value', secrets: [name] } as const
  const value = stored.get(name) ?? ''
  if (value === '') {
    return need === 'mandatory'
      ? { ...about, state: 'bad', message: `${name} is not set, and Mastodon does not start without it.`, fix: SET }
      : {
          ...about,
          state: 'warn',
          message: `${name} is not set.`,
          fix: kind === 'vapid' ? 'mstdn-ops keys:vapid' : SET,
        }
  }
  const wrong = formProblem(secret, value)
  if (wrong === undefined) return { ...about, state: 'ok', message: `${name} is set, and of the right form.` }
  const { state, problem } = wrong
  const fix = kind === 'vapid' ? 'mstdn-ops keys:vapid --replace' : `mstdn-ops config:set ${name} (then ${breaks})`
  return { ...about, state, message: `${name} ${problem}.`, ...(state === 'bad' ? { fix } : {}) }
}

const SET = 'Put back the value of before, from a backup; where there never was one: mstdn-ops keys:secrets prints one.'

function ofForce({ name }: SecretNeed, { stored, running }: Standing): KeyFinding[] {
  if ((stored.get(name) ?? '') === (running.get(name) ?? '')) return []
  const message = `${name} is stored with another value than what runs has.`
  const fix = 'If the stored one, which is looked at here, is right: mstdn-ops restart'
  return [{ look: 'in-force', secrets: [name], state: 'warn', message, fix }]
}

function ofPair(stored: Standing['stored']): KeyFinding[] {
  const [privateKey = '', publicKey = ''] = PAIR.map(name => stored.get(name))
  if (privateKey === '' || publicKey === '') return []
  const about = { look: 'pair', secrets: PAIR } as const
  if (isVapidPair({ privateKey, publicKey })) {
    return [{ ...about, state: 'ok', message: 'The VAPID keys belong together.' }]
  }
  const message = 'The VAPID keys do not belong together: push messages fail.'
  return [{ ...about, state: 'bad', message, fix: 'mstdn-ops keys:vapid --replace' }]
}
