import { mandatorySecrets, type SecretNeed, secretsOf } from '../../secrets.js'
import type { UpgradeSurroundings } from '../surroundings.js'
import { type Leap, type Need, type NeedsOf, needOf } from './need.js'

const NAMESPACE = 'REDIS_NAMESPACE'
const SOURCE = 'config/initializers @v'

/** Returns the variables without which a release does not start, and the one with which it does not. */
export const variableNeeds: NeedsOf = (leap, surroundings) =>
  [...plainSecrets(leap, surroundings), ...encryptionKeys(leap, surroundings), ...namespace(leap, surroundings)].map(
    needOf,
  )

function plainSecrets({ from, to }: Leap, surroundings: UpgradeSurroundings): Need[] {
  const known = secretsOf(from).map(({ name }) => name)
  const plain = secretsOf(to).filter(({ kind, need }) => kind === 'hex' && need === 'mandatory')
  const secrets = [...plain.map(({ name }) => name), ...otpOnTheWay({ from, to })]
  return [...new Set(secrets)].map(name => ({
    ...{ id: name, release: to.toString(), when: 'before', source: `${SOURCE}${to.release}` },
    what: name === 'OTP_SECRET' && from.atLeast('2.3.0') ? 'OTP_SECRET, unchanged' : name,
    ...stateOf([name], surroundings),
    commands:
      known.includes(name) && from.atLeast('2.3.0')
        ? [`Put back the ${name} that this instance had: mstdn-ops config:set ${name}`]
        : [setLine(name, 64, surroundings)],
  }))
}

/** A migration of 4.3.0 (20240307180905) reads the two-factor secrets with it, in later releases too. */
function otpOnTheWay({ from, to }: Leap): string[] {
  return from.before('4.3.0') && to.atLeast('4.3.0') ? ['OTP_SECRET'] : []
}

function encryptionKeys({ from, to }: Leap, surroundings: UpgradeSurroundings): Need[] {
  const names = secretsOf(to).filter(isEncryption).map(nameOf)
  if (names.length === 0) return []
  const missing = missingOf(names, surroundings)
  const isNew = mandatorySecrets(from).every(name => !names.includes(name))
  const lines = (missing.length > 0 ? missing : names).map(name => setLine(name, 16, surroundings))
  const back = ['Put back the keys that this database was written with: mstdn-ops config:set NAME, for each.']
  return [
    {
      ...{ id: 'encryption-keys', release: to.toString(), when: isNew ? 'made' : 'before', source: `${SOURCE}4.3.0` },
      what: 'the three ACTIVE_RECORD_ENCRYPTION keys',
      ...stateOf(names, surroundings),
      commands: isNew ? lines : back,
    },
  ]
}

/** @returns a line that makes a value of so many random bytes and sets it. */
function setLine(name: string, bytes: number, { can }: UpgradeSurroundings): string {
  return `openssl rand -hex ${bytes} | mstdn-ops config:set ${name}${can.appliesAtOnce ? '' : ' --no-restart'}`
}

function namespace({ to }: Leap, { variables }: UpgradeSurroundings): Need[] {
  if (to.before('4.4.0')) return []
  const isSet = variables?.set.includes(NAMESPACE)
  return [
    {
      ...{ id: 'redis-namespace', release: to.toString(), when: 'before', source: 'CHANGELOG.md @v4.4.0' },
      what: `${NAMESPACE} not set (the app does not start with it)`,
      met: isSet === undefined ? 'unknown' : !isSet,
      found: isSet === undefined ? null : isSet ? 'set' : 'not set',
      commands: ['mstdn-ops redis:drop-namespace'],
    },
  ]
}

function stateOf(names: readonly string[], surroundings: UpgradeSurroundings): Pick<Need, 'met' | 'found'> {
  if (surroundings.variables === null) return { met: 'unknown', found: null }
  const missing = missingOf(names, surroundings)
  if (missing.length === 0) return { met: true, found: 'set' }
  return { met: false, found: missing.length === names.length ? 'not set' : `not set: ${missing.join(', ')}` }
}

function missingOf(names: readonly string[], { variables }: UpgradeSurroundings): string[] {
  return names.filter(name => !variables?.set.includes(name) || variables.unusable.includes(name))
}

const isEncryption = ({ kind }: SecretNeed) => kind === 'encryption'
const nameOf = ({ name }: SecretNeed) => name
