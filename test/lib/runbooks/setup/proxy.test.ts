import { describe, expect, it } from 'vitest'
import { proxyBlocks } from '../../../../src/lib/runbooks/setup/proxy.js'
import { answersOf } from '../../../../src/lib/setup/answers.js'

const least = { domain: 'example.social', owner: 'alice', 'owner-email': 'alice@example.org' }
const blocks = (more: Record<string, unknown> = {}) => proxyBlocks(answersOf({ ...least, ...more }).answers)

/** The depth of braces at the end, and the lowest on the way. */
function depths(text: string): { end: number; lowest: number } {
  let [end, lowest] = [0, 0]
  for (const char of text) {
    end += char === '{' ? 1 : char === '}' ? -1 : 0
    lowest = Math.min(lowest, end)
  }
  return { end, lowest }
}

describe.each(['nginx', 'caddy'] as const)('the block for %s', proxy => {
  it('leads to both ports, streaming by its path', () => {
    const text = blocks({ 'web-port': 3001, 'streaming-port': 4001 })[proxy]
    expect(text).toMatch(/streaming[\s\S]*127\.0\.0\.1:4001/)
    expect(text).toContain('127.0.0.1:3001')
    expect(text).not.toContain('webfinger')
    expect(depths(text.replaceAll('{uri}', ''))).toEqual({ end: 0, lowest: 0 })
  })

  it('redirects webfinger where the pages have a domain of their own', () => {
    const text = blocks({ 'web-domain': 'web.example.social' })[proxy]
    expect(text).toContain('/.well-known/webfinger')
    expect(text).toMatch(/https:\/\/web\.example\.social/)
    expect(depths(text.replaceAll('{uri}', ''))).toEqual({ end: 0, lowest: 0 })
  })
})

it('nginx says that visitors came by https, without which Mastodon redirects for ever', () => {
  expect(blocks().nginx.match(/X-Forwarded-Proto https/g)).toHaveLength(2)
})
