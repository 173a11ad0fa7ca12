/** The polynomial of Redis' dumps (Jones), its bits reversed, in halves of 32 bits. Source: Redis 7.0, crc64.c. */
const HIGH = 0x95ac9329
const LOW = 0xac4bc9b5

const { high: HIGHS, low: LOWS } = table()

/** The checksum of Redis' dumps, in halves: whole 64 bits would be a hundred times slower. */
export class Crc64 {
  #high = 0
  #low = 0

  update(bytes: Uint8Array): void {
    let high = this.#high
    let low = this.#low
    for (let at = 0; at < bytes.length; at++) {
      const index = (low ^ (bytes[at] as number)) & 0xff
      low = ((low >>> 8) | (high << 24)) ^ (LOWS[index] as number)
      high = (high >>> 8) ^ (HIGHS[index] as number)
    }
    this.#high = high
    this.#low = low
  }

  value(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0)
  }
}

function table(): { high: Int32Array; low: Int32Array } {
  const high = new Int32Array(256)
  const low = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) [high[byte], low[byte]] = remainder(byte)
  return { high, low }
}

function remainder(byte: number): [high: number, low: number] {
  let high = 0
  let low = byte
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = (low & 1) === 1
    low = (low >>> 1) | (high << 31)
    high >>>= 1
    if (isOdd) {
      high ^= HIGH
      low ^= LOW
    }
  }
  return [high, low]
}
