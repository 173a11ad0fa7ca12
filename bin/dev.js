#!/usr/bin/env node
// Builds (about a second), then runs: for work on the commands themselves.
await import('../scripts/build.js')
const { start } = await import('../dist/start.js')
await start(import.meta.url)
