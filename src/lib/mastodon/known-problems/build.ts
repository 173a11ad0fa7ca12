import type { KnownProblem, Sign } from './problem.js'

/** What RubyGems and Bundler say of a gem that cannot be built; the second breaks the line at 80 signs. */
function gemFailed(gem: string): Sign {
  return {
    word: `installing ${gem}`,
    pattern: new RegExp(`(Error|error occurred while) installing ${gem}\\b`),
    seen: true,
  }
}

export const BUILD_PROBLEMS: readonly KnownProblem[] = [
  {
    id: 'missing-assets',
    title: 'The compiled assets are missing',
    explains:
      'Pages end with error 500 because a stylesheet or a script was not compiled, or because an old folder is mounted over the one of the image (which ships them from 2.5.0 on).',
    versions: { since: '1.4.1' },
    signs: [
      { word: 'Webpacker can', pattern: /Webpacker can't find \S+ in \S*manifest\.json/, seen: true },
      { word: 'Vite Ruby can', pattern: /Vite Ruby can't find \S+ in the manifests/, seen: true },
    ],
    offers: [
      { text: 'mstdn-ops assets:precompile (webpacker:compile is a part of it)', since: '1.4.1', before: '4.4.0' },
      { text: 'mstdn-ops assets:precompile (there is no webpacker:compile any more)', since: '4.4.0' },
      {
        text: 'With an image that ships them: take mounts of public/assets and public/packs out of the compose file, then mstdn-ops restart',
        since: '2.5.0',
      },
    ],
  },
  {
    id: 'one-off-limit',
    title: 'The plan allows no further one-off dyno',
    explains:
      'Another one-off dyno still runs: a console that was left open, or a command that was thought to be over.',
    signs: [{ word: 'Cannot run more than', pattern: /Cannot run more than \d{1,4} .{0,40}dynos?/ }],
    offers: [{ text: 'heroku ps -a APP shows it; heroku ps:stop --dyno-name run.1234 -a APP ends it' }],
  },
  {
    id: 'slug-size',
    title: 'The slug is too large',
    explains:
      'Above the soft limit the app starts slowly, above the hard one it is refused. What counts is the checkout with its gems, packages and assets.',
    signs: [
      { word: 'slug size exceeds', pattern: /slug size exceeds our soft limit/ },
      { word: 'Compiled slug size', pattern: /Compiled slug size: .{1,40} is too large/ },
    ],
    offers: [
      { text: 'List what the app does not need in .slugignore (spec, docs, .github, *.md), commit, and push again.' },
      { text: 'heroku repo:purge_cache is gone: the plugin that had it cannot be installed on the CLI of today.' },
    ],
  },
  {
    id: 'node-build',
    title: 'The Node.js part of the build failed',
    explains: 'Most often the buildpack took a version of Node.js or Yarn that the release does not work with.',
    signs: [{ word: 'failed to compile Node.js' }],
    offers: [
      {
        text: 'Name a version in package.json, commit and push again: "engines": {"node": "16.x"}',
        since: '4.2.0',
        before: '4.3.0',
      },
      {
        text: 'Name a version in package.json, commit and push again: "engines": {"node": "18.x"}',
        since: '4.3.0',
        before: '4.4.0',
      },
      {
        text: 'Name a version in package.json, commit and push again: "engines": {"node": "20.x"}',
        since: '4.4.0',
        before: '4.6.0',
      },
      { text: 'Name a version in package.json, commit and push again: "engines": {"node": "22.x"}', since: '4.6.0' },
      {
        text: 'Name the version that the release asks for in package.json, commit and push again: "engines": {"node": …}',
        before: '4.2.0',
      },
    ],
  },
  {
    id: 'idn-ruby',
    title: 'The gem idn-ruby cannot be built: libidn is missing',
    explains:
      'The library is not on the machine that builds, or the Aptfile asks for a package that its stack has not got.',
    signs: [gemFailed('idn-ruby'), { word: 'could not find idn library', seen: true }],
    offers: [
      { text: 'On Heroku: libidn11 and libidn11-dev in the Aptfile, commit, and push again', before: '4.0.0' },
      { text: 'On Heroku: libidn12 and libidn-dev in the Aptfile, commit, and push again', since: '4.0.0' },
      { text: 'Elsewhere: apt-get install libidn-dev' },
    ],
  },
  {
    id: 'cld3',
    title: 'The gem cld3 cannot be built: protobuf is missing',
    explains: 'The gem compiles against the protobuf library and its compiler.',
    signs: [gemFailed('cld3'), { word: 'Failed to locate protobuf', seen: true }],
    offers: [
      { text: 'On Heroku: protobuf-compiler and libprotobuf-dev in the Aptfile, commit, and push again' },
      { text: 'Elsewhere: apt-get install protobuf-compiler libprotobuf-dev pkg-config' },
    ],
  },
  {
    id: 'charlock-holmes',
    title: 'The gem charlock_holmes cannot be built: ICU is missing',
    explains:
      'The library is not on the machine that builds, or the Aptfile asks for a version that its stack has not got.',
    signs: [gemFailed('charlock_holmes'), { word: 'icu required', seen: true }],
    offers: [
      { text: 'On Heroku: libicu-dev in the Aptfile, with the apt buildpack in front, commit, and push again' },
      { text: 'Elsewhere: apt-get install libicu-dev' },
    ],
  },
]
