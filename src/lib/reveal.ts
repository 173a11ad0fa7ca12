import { printable } from './text.js'

/**
 * Shows the operator what is otherwise never shown, like a new password: on stdout, past the redactor and `--quiet`,
 * into no log. Control characters stay visible marks.
 */
export function showOnce(text: string, stdout: NodeJS.WritableStream = process.stdout): void {
  stdout.write(`${printable(text)}\n`)
}
