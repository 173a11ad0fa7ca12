import type { KnownProblem } from './problem.js'

export const HOST_PROBLEMS: readonly KnownProblem[] = [
  {
    id: 'out-of-memory',
    title: 'The memory ran out, or a process was killed',
    explains:
      'A process was killed (code 137 is SIGKILL), or could get no more memory. Where a container was stopped by force the code is the same: docker inspect tells by OOMKilled.',
    signs: [
      { word: 'code 137', pattern: /\bcode 137\b/, seen: true },
      { word: 'JavaScript heap out of memory', seen: true },
      { word: 'failed to allocate memory', seen: true },
      { word: 'status 137', pattern: /exited with status 137/ },
      { word: 'Killed process', pattern: /Out of memory: Killed process \d+/i },
      { word: 'Error R1', pattern: /Error R1[45] \(Memory quota (vastly )?exceeded\)/ },
    ],
    offers: [
      {
        text: 'mstdn-ops config:set WEB_CONCURRENCY and MAX_THREADS to lower numbers, then mstdn-ops restart; or more memory or swap',
      },
      {
        text: 'Where assets were being compiled: use an image that ships them, or compile where there are 2 GiB',
        since: '2.5.0',
      },
    ],
  },
  {
    id: 'disk-full',
    title: 'The disk is full',
    explains: 'Nothing can be written: PostgreSQL stops, Redis refuses every change, uploads fail.',
    signs: [
      { word: 'o space left on device', seen: true },
      { word: 'MISCONF Redis is configured to save', seen: true },
    ],
    checks: ['disk'],
    offers: [
      { text: 'mstdn-ops doctor --only disk (which disk, and what is free)' },
      { text: 'docker system df, then docker image prune: images of former releases' },
      { text: 'mstdn-ops media:remove --days 7' },
      { text: 'mstdn-ops db:prune --dry-run: backups that may go' },
    ],
  },
  {
    id: 'elasticsearch-max-map-count',
    title: 'Elasticsearch does not start: vm.max_map_count is too low',
    explains: 'It is a setting of the host, also where Elasticsearch runs in a container.',
    versions: { since: '2.3.0' },
    signs: [{ word: 'vm.max_map_count', pattern: /vm\.max_map_count.{0,60}too low/ }],
    offers: [
      {
        text: "On the host: sysctl -w vm.max_map_count=262144, and for good: echo 'vm.max_map_count=262144' > /etc/sysctl.d/99-elasticsearch.conf",
      },
    ],
  },
  {
    id: 'redis-overcommit',
    title: 'Redis may fail to save: vm.overcommit_memory is 0',
    explains:
      'To save, Redis starts a copy of itself, which the kernel may refuse when memory is short. It is a setting of the host, and a warning: nothing has failed yet.',
    signs: [
      { word: 'WARNING Memory overcommit must be enabled', seen: true },
      { word: 'WARNING overcommit_memory is set to 0' },
    ],
    offers: [
      {
        text: "On the host: sysctl -w vm.overcommit_memory=1, and for good: echo 'vm.overcommit_memory=1' > /etc/sysctl.d/99-redis.conf",
      },
    ],
  },
]
