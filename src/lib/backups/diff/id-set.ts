/** Ids that follow one another. */
export interface IdPart {
  first: bigint
  n: number
  sum: bigint
  mixed: bigint
}

/** Below 2^40 together, so that the product of two remainders is a number of PostgreSQL's as well. */
export const MODULI = [1_000_003, 999_983] as const

/** Returns what {@link IdPart} says of the ids, which are not none. */
function partOf(ids: BigInt64Array): IdPart {
  const part = { first: ids[0] ?? 0n, n: ids.length, sum: 0n, mixed: 0n }
  const [a, b] = [BigInt(MODULI[0]), BigInt(MODULI[1])]
  for (const id of ids) {
    part.sum += id
    part.mixed += (id % a) * (id % b)
  }
  return part
}

/**
 * A set of ids that takes eight bytes for each: a server may have millions of local posts. Looking one up makes no number
 * of arbitrary size, of which there would be twenty for each.
 */
export class IdSet {
  #ids = new BigInt64Array(1024)
  /** The same bytes by halves, as the machine lays them. */
  #halves = new Uint32Array(this.#ids.buffer)
  #size = 0
  #sorted = true

  get size(): number {
    return this.#size
  }

  /** @throws SyntaxError for what is no number. */
  add(id: string): void {
    if (this.#size === this.#ids.length) this.#grow()
    this.#ids[this.#size] = BigInt(id)
    this.#size += 1
    this.#sorted = false
  }

  has(id: string): boolean {
    this.#sort()
    WANTED[0] = BigInt(id)
    let [low, high] = [0, this.#size - 1]
    while (low <= high) {
      const middle = (low + high) >>> 1
      const order = this.#compare(middle)
      if (order === 0) return true
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return false
  }

  /** How the id at that place stands to the wanted one. */
  #compare(at: number): number {
    const top = (this.#half(at * 2 + HIGH) | 0) - ((WANTED_HALVES[HIGH] ?? 0) | 0)
    return top === 0 ? this.#half(at * 2 + LOW) - (WANTED_HALVES[LOW] ?? 0) : top
  }

  #half(at: number): number {
    return this.#halves[at] ?? 0
  }

  /** Returns the ids in parts of so many, ascending, each told by sums that hardly any other ids have. */
  parts(size: number): IdPart[] {
    this.#sort()
    const parts: IdPart[] = []
    for (let at = 0; at < this.#size; at += size)
      parts.push(partOf(this.#ids.subarray(at, Math.min(at + size, this.#size))))
    return parts
  }

  #sort(): void {
    if (!this.#sorted) this.#ids.subarray(0, this.#size).sort()
    this.#sorted = true
  }

  #grow(): void {
    const larger = new BigInt64Array(this.#ids.length * 2)
    larger.set(this.#ids)
    this.#ids = larger
    this.#halves = new Uint32Array(larger.buffer)
  }
}

const WANTED = new BigInt64Array(1)
const WANTED_HALVES = new Uint32Array(WANTED.buffer)
/** Which half is the upper one: negative ids are known, as that of the instance itself. */
const HIGH = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0
const LOW = 1 - HIGH
