import { messageOf } from '../errors.js'
import {
  type LegacySealed,
  opensByOtpSecret,
  opensByRails,
  railsKeys,
  SEALED_BY_RAILS,
  SEALED_PLACES,
  SEALED_PRIVATE_KEYS,
  sealedByOtpSecret,
} from '../mastodon/sealed.js'
import type { Statement } from '../mastodon/statement.js'
import type { Database } from '../postgres/access.js'
import type { Toolbox } from '../toolbox.js'
import type { KeyFinding } from './finding.js'

const PRIMARY = 'ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY'
const SALT = 'ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT'
const OTP = 'OTP_SECRET'

type Values = ReadonlyMap<string, string>

/** Returns whether the secrets open what the database holds. It is read, and opened in the memory of this process. */
export async function findingsOfSealed(toolbox: Toolbox, stored: Values): Promise<KeyFinding[]> {
  try {
    const database = await toolbox.database()
    const [places] = await ask<{ rails: boolean; legacy: boolean; keypairs: boolean }>(database, SEALED_PLACES)
    const looks = [
      ...(places?.legacy ? [() => byOtpSecret(database, stored, places.rails)] : []),
      ...(places?.rails ? [() => byRails(database, stored, SEALED_BY_RAILS, TWO_FACTOR)] : []),
      ...(places?.keypairs ? [() => byRails(database, stored, SEALED_PRIVATE_KEYS, PRIVATE_KEYS)] : []),
    ]
    const findings: KeyFinding[] = []
    for (const look of looks) findings.push(await look())
    return findings
  } catch (error) {
    const message = `Whether they open what is stored is not known: ${messageOf(error)}`
    return [{ look: 'opens', secrets: [PRIMARY, SALT, OTP], state: 'unknown', message }]
  }
}

function ask<T extends object>(database: Database, { sql, params }: Statement): Promise<T[]> {
  return database.query<T>(sql, params)
}

/** What is sealed, for sentences, and what it means where it does not open. */
interface Sealed {
  what: string
  lost: string
}

const TWO_FACTOR: Sealed = {
  what: 'stored two-factor secrets',
  lost: 'nobody with two-factor authentication can sign in',
}
const PRIVATE_KEYS: Sealed = {
  what: 'stored private keys of accounts',
  lost: 'nothing that is posted here reaches other servers',
}

async function byOtpSecret(database: Database, stored: Values, alsoRails: boolean): Promise<KeyFinding> {
  const rows = await ask<LegacySealed>(database, sealedByOtpSecret(alsoRails))
  const secret = stored.get(OTP) ?? ''
  return judged(
    [OTP],
    rows.map(row => opensByOtpSecret(row, secret)),
    TWO_FACTOR,
  )
}

async function byRails(database: Database, stored: Values, statement: Statement, sealed: Sealed): Promise<KeyFinding> {
  const rows = await ask<{ sealed: string }>(database, statement)
  const keys = rows.length === 0 ? [] : railsKeys(stored.get(PRIMARY) ?? '', stored.get(SALT) ?? '')
  return judged(
    [PRIMARY, SALT],
    rows.map(row => opensByRails(row.sealed, keys)),
    sealed,
  )
}

function judged(secrets: string[], answers: readonly (boolean | undefined)[], { what, lost }: Sealed): KeyFinding {
  const about = { look: 'opens', secrets } as const
  const names = secrets.join(' and ')
  const told = answers.filter(answer => answer !== undefined)
  const opened = told.filter(Boolean).length
  if (told.length === 0) {
    const why = answers.length === 0 ? `There are no ${what}` : `The ${what} are of another form`
    return { ...about, state: 'unknown', message: `${why}: nothing tells whether ${names} would open them.` }
  }
  if (opened === told.length) return { ...about, state: 'ok', message: `${names} opens ${what}: ${opened} were tried.` }
  if (opened === 0) {
    const message = `${names} opens none of ${told.length} ${what}: ${lost}.`
    return { ...about, state: 'bad', message, fix: BACK }
  }
  const message = `${names} opens ${opened} of ${told.length} ${what}: the others were sealed with another value.`
  return { ...about, state: 'warn', message, fix: BACK }
}

const BACK =
  'Put back the value that the database was written with (a backup of the secrets has it): mstdn-ops config:set NAME'
