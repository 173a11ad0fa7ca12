import { UsageError } from '../../errors.js'

/** How many processes of a type are to run. */
export interface Amount {
  name: string
  quantity: number
}

const WORD = /^([A-Za-z][A-Za-z0-9_-]{0,62})=(\d{1,3})$/

/**
 * Returns the amounts that words like `web=2` mean.
 *
 * @throws UsageError naming every word that means none, and types that are named twice.
 */
export function amountsIn(words: readonly string[]): Amount[] {
  const wrong = words.filter(word => !WORD.test(word))
  if (wrong.length > 0) throw badAmount(`${wrong.map(word => `"${word}"`).join(', ')} is no amount of processes.`)
  const amounts = words.map(word => {
    const [, name = '', digits] = WORD.exec(word) ?? []
    return { name, quantity: Number(digits) }
  })
  const twice = amounts.find(({ name }, at) => amounts.findIndex(amount => amount.name === name) < at)
  if (twice) throw badAmount(`${twice.name} is named twice.`)
  return amounts
}

function badAmount(message: string): UsageError {
  return new UsageError({
    code: 'bad-amount',
    message,
    cause: 'An amount is a process type and a whole number of at most three digits, like web=2.',
    next: 'mstdn-ops scale (shows the process types)',
  })
}
