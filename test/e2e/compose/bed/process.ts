import { spawn } from 'node:child_process'

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly stdin?: string
}

/** Runs a program to its end. Never throws on an exit code; rejects when it cannot be started. */
export function finish(file: string, args: readonly string[], options: Options = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: 'pipe' })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => err.push(bytes))
    child.on('error', reject)
    child.on('close', code =>
      resolve({ code: code ?? 255, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
    child.stdin.on('error', () => {})
    child.stdin.end(options.stdin ?? '')
  })
}

/** Runs a program that must succeed. Returns its stdout, trimmed. Throws with both outputs otherwise. */
export async function must(file: string, args: readonly string[], options: Options = {}): Promise<string> {
  const { code, stdout, stderr } = await finish(file, args, options)
  if (code !== 0) throw new Error(`${file} ${args.join(' ')}\nexit ${code}\n${stdout}${stderr}`)
  return stdout.trim()
}
