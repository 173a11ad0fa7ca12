import type { KnownProblem } from './problem.js'

export const WEB_PROBLEMS: readonly KnownProblem[] = [
  {
    id: 'mixed-content',
    title: 'Browsers refuse files that are addressed by http://',
    explains:
      'Pages come by HTTPS, but emoji, pictures or scripts are addressed without it: CDN_HOST lacks its scheme.',
    signs: [{ word: 'Mixed Content: The page at' }, { word: 'Blocked loading mixed active content' }],
    offers: [
      {
        text: 'mstdn-ops config:set CDN_HOST to the address with its scheme (https://files.example.com), then mstdn-ops restart',
        since: '1.4.2',
      },
      { text: 'mstdn-ops config:set LOCAL_HTTPS to true, then mstdn-ops restart', before: '2.1.1' },
      { text: 'mstdn-ops assets:precompile as well, for the address is compiled in', since: '1.4.1', before: '3.3.0' },
    ],
  },
  {
    id: 'redirects',
    title: 'The site redirects in a circle',
    explains:
      'Mastodon sends every request that did not come by HTTPS to HTTPS. The proxy in front ends HTTPS and does not say so, so that each request looks like plain HTTP.',
    signs: [
      { word: 'redirects followed', pattern: /Maximum \(\d+\) redirects followed/, seen: true },
      { word: 'ERR_TOO_MANY_REDIRECTS' },
    ],
    offers: [
      { text: 'In the proxy: proxy_set_header X-Forwarded-Proto https (nginx; Caddy and Traefik do it by themselves)' },
      { text: 'At Cloudflare: SSL/TLS mode Full (strict) in place of Flexible' },
      { text: 'mstdn-ops config:set LOCAL_HTTPS to true, then mstdn-ops restart', before: '2.1.1' },
    ],
  },
  {
    id: 'sidekiq-idle',
    title: 'The site answers and nothing happens: Sidekiq fetches no jobs',
    explains:
      'Posts are accepted, but deliveries, notifications, mails and timelines wait for Sidekiq, which does not run, does not reach Redis, or does not listen to a queue. After a mere restart of Redis it goes on by itself.',
    signs: [{ word: 'Error fetching job', pattern: /\bERROR: Error fetching job: /, seen: true }],
    checks: ['sidekiq', 'queues'],
    offers: [
      { text: 'mstdn-ops doctor --only sidekiq --only queues --only redis' },
      { text: 'mstdn-ops logs --role sidekiq, then mstdn-ops restart --role sidekiq' },
    ],
  },
]
