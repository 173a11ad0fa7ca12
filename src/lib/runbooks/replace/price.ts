import type { Price } from '../../backends/managed-database.js'

/** Returns like `$5.00 a month`. */
export function priceText(price: Price | undefined): string {
  return price === undefined ? 'at a price that the platform does not tell' : `$${amount(price)} a ${price.unit}`
}

function amount({ cents }: Price): string {
  return (cents / 100).toFixed(2)
}
