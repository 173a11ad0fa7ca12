import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Bytes of plaintext in a chunk, and of what stands beside it. Source: age v1, C2SP age.md, "Payload". */
const CHUNK = 65_536
const TAG = 16
export const NONCE = 16
const CIPHER = 'chacha20-poly1305'
/** The last byte of a chunk's nonce, behind the 11 bytes of its number. */
const LAST = 11

/** Returns the nonce that a new payload begins with. */
export function newNonce(): Buffer {
  return randomBytes(NONCE)
}

/**
 * Encrypts or decrypts the payload of an age file chunk by chunk, with the system's own cipher: age's package does the
 * same in JavaScript at a tenth of its speed. Bytes may come in pieces of any size.
 */
abstract class Payload {
  readonly #key: Buffer
  readonly #nonce = Buffer.alloc(12)
  readonly #chunk: Buffer
  #used = 0
  #chunks = 0

  protected constructor(fileKey: Uint8Array, nonce: Uint8Array, size: number) {
    this.#key = Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32))
    this.#chunk = Buffer.allocUnsafe(size)
  }

  /** Returns the chunk the other way, in pieces: joining them would copy all once more. */
  protected abstract turned(key: Buffer, nonce: Buffer, chunk: Buffer): Buffer[]

  /** Returns what is whole by now. A full chunk waits until more comes, for the last one is marked as such. */
  update(bytes: Buffer): Buffer[] {
    const whole: Buffer[] = []
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#used === this.#chunk.length) whole.push(...this.#turn())
      const taken = rest.copy(this.#chunk, this.#used)
      this.#used += taken
      rest = rest.subarray(taken)
    }
    return whole
  }

  /** Returns the last chunk. @throws when the payload does not end with it. */
  end(): Buffer[] {
    this.#nonce[LAST] = 1
    const alone = this.#chunks === 0
    const last = this.#turn()
    // An empty chunk behind others is not how age ends a file.
    if (last.every(piece => piece.length === 0) && !alone) throw new Error('the last chunk is empty')
    return last
  }

  #turn(): Buffer[] {
    this.#nonce.writeUIntBE(this.#chunks, 5, 6)
    const turned = this.turned(this.#key, this.#nonce, this.#chunk.subarray(0, this.#used))
    this.#chunks += 1
    this.#used = 0
    return turned
  }
}

export class EncryptedPayload extends Payload {
  constructor(fileKey: Uint8Array, nonce: Uint8Array) {
    super(fileKey, nonce, CHUNK)
  }

  protected override turned(key: Buffer, nonce: Buffer, chunk: Buffer): Buffer[] {
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG })
    return [cipher.update(chunk), cipher.final(), cipher.getAuthTag()].filter(piece => piece.length > 0)
  }
}

/** What it returns is authentic; that nothing is missing is known at its end alone. */
export class DecryptedPayload extends Payload {
  constructor(fileKey: Uint8Array, nonce: Uint8Array) {
    super(fileKey, nonce, CHUNK + TAG)
  }

  protected override turned(key: Buffer, nonce: Buffer, chunk: Buffer): Buffer[] {
    if (chunk.length < TAG) throw new Error('the last chunk is cut')
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG })
    decipher.setAuthTag(chunk.subarray(chunk.length - TAG))
    const plain = decipher.update(chunk.subarray(0, chunk.length - TAG))
    decipher.final()
    return [plain]
  }
}
