/** What compiling assets takes at its height: less, and the kernel kills it in the middle. */
export const MEMORY_NEEDED = 2.5e9

/** Reads RAM and swap of the machine, and the limit of the container where it has one (cgroup 2, then 1). */
export const MEMORY_SCRIPT =
  'cat /proc/meminfo; for f in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do ' +
  'if [ -r $f ]; then echo "limit $(cat $f)"; fi; done'

/** Returns RAM and swap in bytes, as far as the container's limit lets it use them; undefined when nothing tells. */
export function memoryIn(text: string): number | undefined {
  const kilobytes = (name: string) => new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]
  const ram = kilobytes('MemTotal')
  if (ram === undefined) return undefined
  const swap = Number(kilobytes('SwapTotal') ?? 0) * 1024
  const limits = [...text.matchAll(/^limit (\d+)$/gm)].map(found => Number(found[1]))
  return Math.min(Number(ram) * 1024, ...limits) + swap
}
