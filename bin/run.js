#!/usr/bin/env node
import { answerQuickly } from '../dist/quick.js'

if (!(await answerQuickly(process.argv.slice(2)))) {
  const { start } = await import('../dist/start.js')
  await start(import.meta.url)
}
