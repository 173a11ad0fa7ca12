/** A set of ids that takes eight bytes for each: a server may have millions of local posts. */
export class IdSet {
  #ids = new BigInt64Array(1024)
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
    const ids = this.#inOrder()
    const wanted = BigInt(id)
    let [low, high] = [0, ids.length - 1]
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = ids[middle] as bigint
      if (found === wanted) return true
      if (found < wanted) low = middle + 1
      else high = middle - 1
    }
    return false
  }

  #inOrder(): BigInt64Array {
    const ids = this.#ids.subarray(0, this.#size)
    if (!this.#sorted) ids.sort()
    this.#sorted = true
    return ids
  }

  #grow(): void {
    const larger = new BigInt64Array(this.#ids.length * 2)
    larger.set(this.#ids)
    this.#ids = larger
  }
}
