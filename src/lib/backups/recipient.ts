/** The letters of bech32, in which age writes keys. Source: BIP 173. */
const LETTERS = '[02-9ac-hj-np-z]'
/**
 * X25519, and its hybrid with ML-KEM-768: the letters of 32 and of 1,216 bytes and of a checksum. Source:
 * age-encryption 0.3.1, recipients.js.
 */
const KINDS: readonly RegExp[] = [new RegExp(`^age1${LETTERS}{58}$`), new RegExp(`^age1pq1${LETTERS}{1952}$`)]
/** Their secret half is in a piece of hardware, which the age program speaks to by its plugins. */
const HARDWARE = /^age1(tag|tagpq|yubikey|se|tpm|fido2-hmac)1/

/**
 * Returns what is wrong with the form of a recipient, or undefined. Never quotes it: it may be a secret key by mistake.
 * Its checksum is looked at when it is used.
 */
export function recipientProblem(recipient: string): string | undefined {
  if (KINDS.some(kind => kind.test(recipient))) return undefined
  if (/^AGE-SECRET-KEY-/i.test(recipient)) return `is a secret key: ${PUBLIC_HALF}`
  if (/^(ssh-|ecdsa-|sk-)/.test(recipient)) return 'is a key of ssh: only recipients of age are understood (age1…)'
  if (HARDWARE.test(recipient)) return 'is of a hardware key, which this tool cannot open again: it could not restore'
  if (recipient.includes(' ')) return 'is not one recipient of age (age1…)'
  return 'is no recipient of age (age1…): age-keygen makes one'
}

const PUBLIC_HALF = 'put its public half here (age1…, as age-keygen -y prints it), and replace the key if it was seen'
