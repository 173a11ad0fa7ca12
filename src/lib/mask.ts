/** What tells who somebody is, or lets somebody in, though nobody has registered it as a secret. */
const MASKS: readonly [RegExp, string][] = [
  [/([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@"']{1,200}@/gi, '$1[CREDENTIALS]@'],
  [/\b(Bearer|Basic|token)([ =:]+)[A-Za-z0-9._~+/=-]{8,}/gi, '$1$2[TOKEN]'],
  [/\b[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+/g, '[E-MAIL]'],
  [/(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}\b/g, '[ADDRESS]'],
  [/(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4}){1,4}(?![\w:])/gi, '[ADDRESS]'],
  [/(?<![\w:])(?:[0-9a-f]{1,4}:){1,6}:(?:[0-9a-f]{1,4}:){0,5}[0-9a-f]{1,4}(?![\w:])/gi, '[ADDRESS]'],
  // What stands in an address or a log as a parameter: Mastodon's own tokens there are no longer than a word.
  [
    /([?&;,{\s"'](?:[\w%.-]{0,40}[_.-])?(?:token|key|secret|password|passwd|code|signature|state)=)[^&\s"',;}]{1,500}/gi,
    '$1[VALUE]',
  ],
  [/\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}/g, '[HASH]'],
  [/-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{1,10000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?/g, '[PRIVATE KEY]'],
  // Long and full of digits, or long and of all kinds: no word of a language, no path, no name in Ruby or SQL.
  [/(?<![A-Za-z0-9+-])(?=(?:[A-Za-z+-]*\d){6})[A-Za-z0-9+-]{24,}={0,2}/g, '[TOKEN]'],
  [/(?<![\w/+-])(?=[\w+-]*[a-z])(?=[\w+-]*[A-Z])(?=[\w+-]*\d)[\w+-]{32,}={0,2}/g, '[TOKEN]'],
]

/** Servers talk to themselves all the time; that tells nothing of anybody. */
const LOCAL = /^(?:127\.\d+\.\d+\.\d+|0\.0\.0\.0)$/

/** Returns the text without e-mail addresses, network addresses, tokens and passwords in URLs. */
export function masked(text: string): string {
  return MASKS.reduce((clean, [pattern, mask]) => {
    if (mask !== '[ADDRESS]') return clean.replace(pattern, mask)
    return clean.replace(pattern, found => (LOCAL.test(found) ? found : mask))
  }, text)
}
