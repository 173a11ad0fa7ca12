import { readFile } from 'node:fs/promises'
import { Transform, type TransformCallback } from 'node:stream'
import type { Encrypter } from 'age-encryption'
import { messageOf, RefusedError, UsageError } from '../errors.js'
import { recipientProblem } from './recipient.js'
import { DecryptedPayload, EncryptedPayload, NONCE, newNonce } from './sealed-stream.js'
import type { Sealing } from './sink.js'

/** What the names of encrypted files end in. */
const SUFFIX = '.age'
/** One recipient's header has less than 2 KiB; what is longer is no header. */
const MOST_HEADER = 65_536
const FIRST_LINE = Buffer.from('age-encryption.org/v1\n')
const LAST_LINE = /\n--- [A-Za-z0-9+/]{43}\n/

/** The secret keys of a file, which open what was encrypted for them. */
export interface Unsealing {
  /** Their public halves. */
  recipients: readonly string[]
  /** Returns a new stream from ciphertext to plaintext; it fails where a byte was changed or the end is missing. */
  stream(): Transform
}

/**
 * Returns the encryption for a recipient.
 *
 * @throws UsageError when it is none that age knows.
 */
export async function encryptTo(recipient: string): Promise<Sealing> {
  const age = await import('age-encryption')
  const problem = recipientProblem(recipient)
  if (problem !== undefined) throw badRecipient(`The recipient of the backups ${problem}.`)
  const encrypter = () => {
    const made = new age.Encrypter()
    made.addRecipient(recipient)
    return made
  }
  try {
    encrypter()
  } catch (error) {
    throw badRecipient(`The recipient of the backups is mistyped: ${messageOf(error)}.`)
  }
  return { suffix: SUFFIX, stream: () => new Sealed(() => newHeader(encrypter())) }
}

/** Whether a file begins as an encrypted one does. */
export function isEncrypted(start: Buffer): boolean {
  return start.subarray(0, FIRST_LINE.length).equals(FIRST_LINE)
}

/**
 * Returns what the secret keys of a file open: one a line, as age-keygen writes them, with comments and empty lines.
 *
 * @throws RefusedError when the file cannot be read, is encrypted itself, or holds anything else.
 */
export async function decryptWith(identityFile: string): Promise<Unsealing> {
  const keys = keysIn(await readIdentity(identityFile), identityFile)
  const { Decrypter, identityToRecipient } = await import('age-encryption')
  const decrypter = new Decrypter()
  const recipients: string[] = []
  for (const { key, line } of keys) {
    try {
      decrypter.addIdentity(key)
      recipients.push(await identityToRecipient(key))
    } catch {
      throw badIdentity(identityFile, `Line ${line} holds a secret key that is mistyped.`)
    }
  }
  const open = (header: Buffer) => fileKeyOf(() => decrypter.decryptHeader(header), identityFile)
  return { recipients, stream: () => new Unsealed(open) }
}

interface Header {
  text: Uint8Array
  fileKey: Uint8Array
}

/** The package wraps a new file key; the key itself is learnt as one more recipient, which leaves nothing in the header. */
async function newHeader(encrypter: Encrypter): Promise<Header> {
  let fileKey: Uint8Array = new Uint8Array()
  encrypter.addRecipient({
    wrapFileKey: (key: Uint8Array) => {
      fileKey = key
      return []
    },
  })
  const empty = await encrypter.encrypt(new Uint8Array())
  const text = headerIn(Buffer.from(empty))
  if (text === undefined) throw new Error('age-encryption made a file without a header')
  return { text, fileKey }
}

/** Returns the header that the bytes begin with, or undefined while its end is not among them. */
function headerIn(bytes: Buffer): Buffer | undefined {
  const end = LAST_LINE.exec(bytes.toString('latin1'))
  return end === null ? undefined : bytes.subarray(0, end.index + end[0].length)
}

class Sealed extends Transform {
  readonly #header: () => Promise<Header>
  #payload: EncryptedPayload | undefined

  constructor(header: () => Promise<Header>) {
    super()
    this.#header = header
  }

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#begun()
      .then(payload => pushAll(this, payload.update(bytes)))
      .then(() => done(), done)
  }

  override _flush(done: TransformCallback): void {
    this.#begun()
      .then(payload => pushAll(this, payload.end()))
      .then(() => done(), done)
  }

  async #begun(): Promise<EncryptedPayload> {
    if (this.#payload) return this.#payload
    const { text, fileKey } = await this.#header()
    const nonce = newNonce()
    pushAll(this, [text, nonce])
    this.#payload = new EncryptedPayload(fileKey, nonce)
    return this.#payload
  }
}

class Unsealed extends Transform {
  readonly #open: (header: Buffer) => Promise<Uint8Array>
  /** What came before the payload; empty from then on. */
  #start: Buffer = Buffer.alloc(0)
  #payload: DecryptedPayload | undefined

  constructor(open: (header: Buffer) => Promise<Uint8Array>) {
    super()
    this.#open = open
  }

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#turn(bytes).then(() => done(), done)
  }

  override _flush(done: TransformCallback): void {
    try {
      if (this.#payload === undefined) throw damaged('It ends in the middle of its header.')
      pushAll(
        this,
        authentic(this.#payload, payload => payload.end()),
      )
      done()
    } catch (error) {
      done(error as Error)
    }
  }

  async #turn(bytes: Buffer): Promise<void> {
    const rest = this.#payload ? bytes : await this.#begin(bytes)
    if (this.#payload)
      pushAll(
        this,
        authentic(this.#payload, payload => payload.update(rest)),
      )
  }

  /** Returns the bytes behind header and nonce, once both are whole. */
  async #begin(bytes: Buffer): Promise<Buffer> {
    this.#start = Buffer.concat([this.#start, bytes])
    const start = this.#start
    if (!isEncrypted(start) && start.length >= FIRST_LINE.length) throw damaged('It does not begin as age files do.')
    const header = headerIn(start.subarray(0, MOST_HEADER))
    if (header === undefined && start.length >= MOST_HEADER) throw damaged('Its header has no end.')
    if (header === undefined || start.length < header.length + NONCE) return Buffer.alloc(0)
    const nonce = start.subarray(header.length, header.length + NONCE)
    this.#payload = new DecryptedPayload(await this.#open(header), nonce)
    this.#start = Buffer.alloc(0)
    return start.subarray(header.length + NONCE)
  }
}

function pushAll(stream: Transform, pieces: readonly Uint8Array[]): void {
  for (const piece of pieces) stream.push(piece)
}

function authentic<T>(payload: DecryptedPayload, turn: (payload: DecryptedPayload) => T): T {
  try {
    return turn(payload)
  } catch {
    throw damaged('A byte of it was changed, or its end is missing.')
  }
}

/** The package tells what is wrong by its messages alone. Source: age-encryption 0.3.1, index.js. */
async function fileKeyOf(open: () => Promise<Uint8Array>, identityFile: string): Promise<Uint8Array> {
  try {
    return await open()
  } catch (error) {
    if (messageOf(error).includes('no identity matched')) throw wrongIdentity(identityFile)
    throw damaged(`Its header cannot be read: ${messageOf(error)}.`)
  }
}

function readIdentity(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(error => {
    throw badIdentity(path, messageOf(error))
  })
}

function keysIn(text: string, path: string): { key: string; line: number }[] {
  if (isEncrypted(Buffer.from(text)) || text.startsWith('-----BEGIN AGE ENCRYPTED FILE')) {
    throw badIdentity(path, 'It is encrypted itself: decrypt it with `age -d` first.')
  }
  const lines = text.split('\n').map((key, at) => ({ key: key.trim(), line: at + 1 }))
  const keys = lines.filter(({ key }) => key !== '' && !key.startsWith('#'))
  const other = keys.find(({ key }) => !/^AGE-SECRET-KEY-(PQ-)?1/.test(key))
  if (other) throw badIdentity(path, `Line ${other.line} is no secret key of age (AGE-SECRET-KEY-…).`)
  if (keys.length === 0) throw badIdentity(path, 'It holds no secret key.')
  return keys
}

function badRecipient(message: string): UsageError {
  return new UsageError({
    code: 'bad-recipient',
    message,
    next: 'Correct backups.recipient in mstdn-ops.yaml (or MSTDN_OPS_BACKUP_RECIPIENT).',
  })
}

function badIdentity(path: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'bad-identity',
    message: `The identity file ${path} cannot be used.`,
    cause,
    next: 'Give the file that age-keygen wrote: --identity FILE.',
  })
}

function wrongIdentity(path: string): RefusedError {
  return new RefusedError({
    code: 'wrong-identity',
    message: `No secret key in ${path} opens this backup.`,
    cause: 'It was encrypted for another recipient, or its header is damaged.',
    next: 'mstdn-ops db:backups --json names the recipient of each backup; give the file with its secret key: --identity FILE.',
  })
}

function damaged(cause: string): RefusedError {
  return new RefusedError({
    code: 'encrypted-file-damaged',
    message: 'An encrypted file cannot be decrypted.',
    cause,
    next: 'Use another backup: mstdn-ops db:backups',
  })
}
