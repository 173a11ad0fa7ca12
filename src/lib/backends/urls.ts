import { RefusedError } from '../errors.js'

/** Returns the password of a URL, as written and as decoded; empty where the text is no URL or has none. */
export function passwordsIn(text: string): string[] {
  const url = parsedUrl(text)
  if (url === undefined || url.password === '') return []
  return [...new Set([url.password, decoded(url.password)])]
}

export function parsedUrl(text: string): URL | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined
}

/**
 * Returns the URL of a server that a variable names; undefined where the variable is not set.
 *
 * @throws RefusedError when it is set and no URL; its text is not shown, for it may hold a password.
 */
export function serverUrl(env: ReadonlyMap<string, string>, name: string): URL | undefined {
  const text = env.get(name)
  if (text === undefined || text === '') return undefined
  // libpq and Rails admit `postgres://user@/database?host=/socket`; here a host must stand.
  const url = parsedUrl(
    text.replace(/^([a-z]+:\/\/[^/]*@)\//i, '$1localhost/').replace(/^(postgres\w*:\/\/)\//i, '$1localhost/'),
  )
  if (url) return url
  throw new RefusedError({
    code: 'url-unreadable',
    message: `${name} of the app is no URL.`,
    cause:
      'It does not read as scheme://user:password@host:port/name; a password with / @ # or % must be percent-encoded.',
    next: `Mend ${name} in the app’s configuration.`,
  })
}

/** Percent-decoding that leaves a text alone which was never encoded. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
