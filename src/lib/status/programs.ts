import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Returns whether a program of that name is on PATH. */
export async function isOnPath(program: string, path = process.env.PATH ?? ''): Promise<boolean> {
  for (const folder of path.split(delimiter)) {
    const found = await access(join(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}
