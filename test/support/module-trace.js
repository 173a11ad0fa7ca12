// Preloaded into the tool by a test: writes every module that was loaded to the file MODULE_TRACE names.
import { appendFileSync } from 'node:fs'
import { createRequire, register } from 'node:module'

const hooks = `
import { appendFileSync } from 'node:fs'
export async function load(url, context, next) {
  if (!url.startsWith('node:')) appendFileSync(process.env.MODULE_TRACE, url + '\\n')
  return next(url, context)
}`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

process.on('exit', () => {
  for (const file of Object.keys(createRequire(import.meta.url).cache))
    appendFileSync(process.env.MODULE_TRACE, `file://${file}\n`)
})
