import { readFileSync } from 'node:fs'

/**
 * Answers `--version` and the front page of the help without loading the command framework.
 *
 * @returns whether the words were answered. The help text is written by the build from the very help that oclif renders.
 */
export async function answerQuickly(words: readonly string[]): Promise<boolean> {
  const [word, ...rest] = words
  if (rest.length > 0) return false
  const file = word === '--version' || word === '-v' ? 'version.txt' : isHelp(word) ? 'help.txt' : undefined
  if (file === undefined) return false
  try {
    process.stdout.write(readFileSync(new URL(file, import.meta.url), 'utf8'))
    return true
  } catch {
    return false
  }
}

function isHelp(word: string | undefined): boolean {
  return word === undefined || word === '--help' || word === '-h' || word === 'help'
}
