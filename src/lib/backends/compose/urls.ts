/** Returns the password of a URL, as written and as decoded; empty where the text is no URL or has none. */
export function passwordsIn(text: string): string[] {
  const url = parsedUrl(text)
  if (url === undefined || url.password === '') return []
  return [...new Set([url.password, decoded(url.password)])]
}

export function parsedUrl(text: string): URL | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined
}

/** Percent-decoding that leaves a text alone which was never encoded. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
