import { InterruptedError } from './errors.js'

/** The only door to questions. Questions go to stderr, so that stdout stays the result's. */
async function ask<T>(question: { type: 'confirm' | 'input' | 'password'; message: string }): Promise<T> {
  const { default: inquirer } = await import('inquirer')
  const prompt = inquirer.createPromptModule({ output: process.stderr })
  try {
    const mask = question.type === 'password' ? { mask: '*' } : {}
    const fallback = question.type === 'confirm' ? { default: false } : {}
    const answers = await prompt([{ ...question, ...mask, ...fallback, name: 'answer' } as never])
    return (answers as { answer: T }).answer
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError') throw interrupted()
    throw error
  }
}

/** Asks for a yes; no is the default. */
export function askYes(message: string): Promise<boolean> {
  return ask({ type: 'confirm', message })
}

export function askText(message: string): Promise<string> {
  return ask({ type: 'input', message })
}

/** Asks for a value that is not shown. */
export function askSecret(message: string): Promise<string> {
  return ask({ type: 'password', message })
}

function interrupted(): InterruptedError {
  return new InterruptedError({ code: 'interrupted', message: 'Interrupted at a question: nothing was changed.' })
}
