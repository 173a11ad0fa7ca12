import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, type Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import * as age from 'age-encryption'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decryptWith, encryptTo, isEncrypted } from '../../../src/lib/backups/encryption.js'
import type { OperatorError } from '../../../src/lib/errors.js'

const FULL = Boolean(process.env.MSTDN_TEST_FULL)
/** Around the bounds of a chunk. */
const SIZES = [0, 1, 15, 16, 65_535, 65_536, 65_537, 131_072, 200_000]

interface Pair {
  secret: string
  recipient: string
}
let dir: string
let plain: Pair
let hybrid: Pair
let stranger: Pair
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-age-'))
  plain = await pairOf(await age.generateX25519Identity())
  hybrid = await pairOf(await age.generateHybridIdentity())
  stranger = await pairOf(await age.generateX25519Identity())
})
afterAll(() => rmSync(dir, { recursive: true }))

async function pairOf(secret: string): Promise<Pair> {
  return { secret, recipient: await age.identityToRecipient(secret) }
}

function identityFile(text: string): string {
  const path = join(dir, `identity-${Math.random()}`)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

async function through(stream: Transform, bytes: Buffer, piece = 10_000): Promise<Buffer> {
  const out: Buffer[] = []
  const pieces = Array.from({ length: Math.ceil(bytes.length / piece) }, (_, at) =>
    bytes.subarray(at * piece, (at + 1) * piece),
  )
  await pipeline(Readable.from(pieces), stream, async chunks => {
    for await (const chunk of chunks) out.push(chunk as Buffer)
  })
  return Buffer.concat(out)
}

async function sealed(bytes: Buffer, { recipient }: Pair = plain): Promise<Buffer> {
  return through((await encryptTo(recipient)).stream(), bytes)
}

async function opened(bytes: Buffer, { secret }: Pair = plain, piece?: number): Promise<Buffer> {
  return through((await decryptWith(identityFile(secret))).stream(), bytes, piece)
}

async function refusal(work: Promise<unknown>): Promise<OperatorError> {
  return work.then(
    () => expect.fail('nothing was refused'),
    error => error as OperatorError,
  )
}

function numbered(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 0xff))
}

describe('what is encrypted for a recipient', () => {
  it.each(SIZES)('is the same after both ways, at %i bytes, and as the package of age has it', async size => {
    const bytes = numbered(size)
    const file = await sealed(bytes)
    expect(isEncrypted(file)).toBe(true)
    expect((await opened(file)).equals(bytes)).toBe(true)
    const theirs = new age.Decrypter()
    theirs.addIdentity(plain.secret)
    expect(Buffer.from(await theirs.decrypt(file)).equals(bytes)).toBe(true)
    const encrypter = new age.Encrypter()
    encrypter.addRecipient(plain.recipient)
    expect((await opened(Buffer.from(await encrypter.encrypt(bytes)))).equals(bytes)).toBe(true)
  })

  it('can be for a key that outlasts quantum computers', async () => {
    const bytes = numbered(70_000)
    expect((await opened(await sealed(bytes, hybrid), hybrid)).equals(bytes)).toBe(true)
  })

  it('comes in pieces of any size', async () => {
    const bytes = numbered(66_000)
    const file = await sealed(bytes)
    for (const piece of [1, 7, 65_552, 100_000]) {
      expect((await opened(file, plain, piece)).equals(bytes), `pieces of ${piece}`).toBe(true)
    }
  })

  it('is never the same twice', async () => {
    const [one, two] = [await sealed(numbered(10)), await sealed(numbered(10))]
    expect(one.equals(two)).toBe(false)
    const seal = await encryptTo(plain.recipient)
    const files = [await through(seal.stream(), numbered(10)), await through(seal.stream(), numbered(10))]
    expect(files[0]?.subarray(-26).equals(files[1]?.subarray(-26) ?? Buffer.alloc(0))).toBe(false)
  })

  it('is refused with any byte flipped', async () => {
    const file = await sealed(numbered(66_000))
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const flipped = Buffer.from(file)
        flipped[at] = (flipped[at] ?? 0) ^ mask
        const { code, exitCode } = await refusal(opened(flipped))
        expect(['encrypted-file-damaged', 'wrong-identity']).toContain(code)
        expect(exitCode).toBe(3)
      }),
      { numRuns: FULL ? 1000 : 60 },
    )
  })

  it('is refused with any byte of its header flipped', async () => {
    const file = await sealed(numbered(3))
    for (let at = 0; at < file.length; at += FULL ? 1 : 5) {
      const flipped = Buffer.from(file)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      expect((await refusal(opened(flipped))).exitCode, `byte ${at}`).toBe(3)
    }
  })

  it('is refused where it is cut, also at the bound of a chunk, and where something follows', async () => {
    const file = await sealed(numbered(140_000))
    const header = file.length - 140_000 - 3 * 16
    const cuts = [0, 1, 100, header - 1, header, header + 15, header + 65_552, header + 2 * 65_552, file.length - 1]
    for (const cut of cuts) {
      const { code } = await refusal(opened(file.subarray(0, cut)))
      expect(code, `cut at ${cut}`).toBe('encrypted-file-damaged')
    }
    expect((await refusal(opened(Buffer.concat([file, Buffer.from('x')])))).code).toBe('encrypted-file-damaged')
    const empty = await sealed(Buffer.alloc(0))
    expect((await refusal(opened(empty.subarray(0, -1)))).code).toBe('encrypted-file-damaged')
  })

  it('is refused where it never was: a dump in clear, and a header without an end', async () => {
    const clear = await refusal(opened(Buffer.concat([Buffer.from('PGDMP'), numbered(300_000)])))
    expect(clear.why).toBe('It does not begin as age files do.')
    const endless = Buffer.concat([Buffer.from('age-encryption.org/v1\n'), Buffer.alloc(200_000, 'a')])
    expect((await refusal(opened(endless))).why).toBe('Its header has no end.')
  })

  it('keeps the memory bounded both ways', async () => {
    const megabytes = FULL ? 500 : 100
    const block = numbered(1024 * 1024)
    const source = Readable.from(
      (function* blocks() {
        for (let at = 0; at < megabytes; at += 1) yield block
      })(),
    )
    const before = process.memoryUsage().rss
    let [most, bytes] = [0, 0]
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        bytes += chunk.length
        most = Math.max(most, process.memoryUsage.rss())
        done()
      },
    })
    const seal = await encryptTo(plain.recipient)
    const unseal = await decryptWith(identityFile(plain.secret))
    await pipeline(source, seal.stream(), unseal.stream(), sink)
    expect(bytes).toBe(megabytes * block.length)
    expect((most - before) / 1024 ** 2).toBeLessThan(60)
  })
})

describe('an identity file', () => {
  it('may hold comments, empty lines, ends of lines of Windows and several keys', async () => {
    const text = `# created: 2026-01-01\r\n# public key: x\r\n\r\n${stranger.secret}\r\n${hybrid.secret}\r\n  ${plain.secret}\n`
    const unseal = await decryptWith(identityFile(text))
    expect(unseal.recipients).toEqual([stranger.recipient, hybrid.recipient, plain.recipient])
    for (const pair of [plain, hybrid, stranger]) {
      const file = await sealed(numbered(5), pair)
      expect(await through(unseal.stream(), file)).toEqual(numbered(5))
    }
  })

  it('of somebody else is refused by name', async () => {
    const error = await refusal(opened(await sealed(numbered(5)), stranger))
    expect(error).toMatchObject({ code: 'wrong-identity', exitCode: 3 })
    expect(error.message).toMatch(/^No secret key in .*identity-.* opens this backup\.$/)
  })

  it.each([
    ['', 'It holds no secret key.'],
    ['# only a comment\n', 'It holds no secret key.'],
    [
      '# note\nage1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n',
      'Line 2 is no secret key of age (AGE-SECRET-KEY-…).',
    ],
    ['AGE-PLUGIN-YUBIKEY-1QQQQ\n', 'Line 1 is no secret key of age (AGE-SECRET-KEY-…).'],
    ['\nAGE-SECRET-KEY-1QQQQSECRETQQQQ\n', 'Line 2 holds a secret key that is mistyped.'],
    ['age-encryption.org/v1\n-> scrypt x 18\n', 'It is encrypted itself: decrypt it with `age -d` first.'],
  ])('that is none is refused without showing it: %j', async (text, cause) => {
    const error = await refusal(decryptWith(identityFile(text)))
    expect(error).toMatchObject({ code: 'bad-identity', exitCode: 3, why: cause })
    expect(JSON.stringify(error)).not.toContain('QQQQ')
  })

  it('that is not there is refused', async () => {
    expect(await refusal(decryptWith(join(dir, 'none')))).toMatchObject({ code: 'bad-identity', exitCode: 3 })
  })
})

describe('a recipient', () => {
  it.each([
    ['', /is no recipient of age/],
    ['age1x', /is no recipient of age/],
    ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5', /is a key of ssh/],
    ['age1tag1qqqq', /is of a hardware key/],
    ['age1yubikey1qqqq', /is of a hardware key/],
    [`age1${'q'.repeat(58)}`, /is mistyped/],
    ['AGE-SECRET-KEY-1ABCDEFSECRET', /is a secret key/],
  ])('that is none is refused: %s', async (recipient, message) => {
    const error = await refusal(encryptTo(recipient))
    expect(error).toMatchObject({ code: 'bad-recipient', exitCode: 2, message: expect.stringMatching(message) })
    expect(JSON.stringify(error)).not.toContain('ABCDEFSECRET')
  })

  it('with one letter changed is refused', async () => {
    const { recipient } = plain
    const other = recipient.endsWith('q') ? 'p' : 'q'
    expect(await refusal(encryptTo(recipient.slice(0, -1) + other))).toMatchObject({ code: 'bad-recipient' })
  })
})
