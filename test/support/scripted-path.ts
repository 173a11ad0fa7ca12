import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Returns a PATH on which these shell scripts come first. Each may call the real program as `$REAL_PATH` tells. */
export function scriptedPath(programs: Readonly<Record<string, string>>): { dir: string; env: NodeJS.ProcessEnv } {
  const dir = mkdtempSync(join(tmpdir(), 'mstdn-ops-path-'))
  for (const [name, script] of Object.entries(programs)) {
    const file = join(dir, name)
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
  }
  return { dir, env: { PATH: `${dir}:${process.env.PATH}`, REAL_PATH: process.env.PATH ?? '', SCRIPT_DIR: dir } }
}

/** A `docker` that works for the first `calls` calls and then finds no engine. */
export function engineGoneAfter(calls: number): string {
  return `
n=$(cat "$SCRIPT_DIR/calls" 2>/dev/null || echo 0)
echo $((n + 1)) > "$SCRIPT_DIR/calls"
if [ "$n" -ge ${calls} ]; then
  echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" >&2
  exit 1
fi
PATH="$REAL_PATH" exec docker "$@"`
}
