/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are compose's variables */
/** The files of a compose project in the ways in which operators write them. */
export interface ImageShape {
  title: string
  files: Readonly<Record<string, string>>
  /** Those that compose is given; where absent it finds them by itself. */
  given?: readonly string[]
  /** What has to be read after the change: line → its new text. All other lines stay. */
  after: Readonly<Record<string, string>>
  /** Lines that come in addition. */
  added?: readonly string[]
}

export const FROM = 'ghcr.io/mastodon/mastodon:v4.2.9'
export const TO = 'ghcr.io/mastodon/mastodon:v4.3.8'
export const STREAMING = 'ghcr.io/mastodon/mastodon-streaming:v4.3.8'

const DB = '  db:\n    image: postgres:14-alpine # keep\n'

/** Each has the services web, sidekiq and streaming, all on {@link FROM}. */
export const SHAPES: readonly ImageShape[] = [
  {
    title: 'the usual file, with comments, quotes and build beside it',
    files: {
      'docker-compose.yml': `# Mastodon of ours\nversion: '3'\nservices:\n${DB}\n  web:\n    # build: .\n    build: .\n    image: ${FROM}   # pinned\n    command: bundle exec puma\n\n  streaming:\n    image: "${FROM}" # streaming\n    command: node ./streaming\n  sidekiq: { image: '${FROM}', command: bundle exec sidekiq }\n# the end`,
    },
    after: {
      [`    image: ${FROM}   # pinned`]: `    image: ${TO}   # pinned`,
      [`    image: "${FROM}" # streaming`]: `    image: "${STREAMING}" # streaming`,
      [`  sidekiq: { image: '${FROM}', command: bundle exec sidekiq }`]: `  sidekiq: { image: '${TO}', command: bundle exec sidekiq }`,
    },
  },
  {
    title: 'a variable in .env, quoted and commented',
    files: {
      '.env': 'COMPOSE_PROFILES=\n# release\nVERSION="v4.2.9" # see wiki\nOTHER=v4.2.9\n',
      'docker-compose.yml': `services:\n${DB}  web:\n    image: ghcr.io/mastodon/mastodon:\${VERSION}\n  sidekiq:\n    image: ghcr.io/mastodon/mastodon:\${VERSION:-v4.1.0}\n  streaming:\n    image: ghcr.io/mastodon/mastodon:$VERSION\n`,
    },
    after: {
      'VERSION="v4.2.9" # see wiki': 'VERSION="v4.3.8" # see wiki',
      '    image: ghcr.io/mastodon/mastodon:$VERSION': '    image: ghcr.io/mastodon/mastodon-streaming:$VERSION',
    },
  },
  {
    title: 'a default in the file, without .env',
    files: {
      'compose.yaml': `services:\n  web:\n    image: ghcr.io/mastodon/mastodon:\${VERSION:-v4.2.9}\n  sidekiq:\n    image: "ghcr.io/mastodon/mastodon:v\${NUMBER-4.2.9}"\n  streaming:\n    image: \${REGISTRY:-ghcr.io}/mastodon/mastodon:v4.2.9\n`,
    },
    after: {
      '    image: ghcr.io/mastodon/mastodon:${VERSION:-v4.2.9}':
        '    image: ghcr.io/mastodon/mastodon:${VERSION:-v4.3.8}',
      '    image: "ghcr.io/mastodon/mastodon:v${NUMBER-4.2.9}"':
        '    image: "ghcr.io/mastodon/mastodon:v${NUMBER-4.3.8}"',
      '    image: ${REGISTRY:-ghcr.io}/mastodon/mastodon:v4.2.9': `    image: \${REGISTRY:-ghcr.io}/mastodon/mastodon-streaming:v4.3.8`,
    },
  },
  {
    title: 'an extension field merged into every service: streaming gets a line of its own',
    files: {
      'docker-compose.yml': `x-app: &app\n  image: ${FROM}\n  restart: always\n\nservices:\n  web:\n    <<: *app\n    command: puma\n  sidekiq:\n    command: sidekiq\n    <<: [*app]\n  streaming:\n    # own port\n    <<: *app\n    command: node ./streaming\n`,
    },
    after: { [`  image: ${FROM}`]: `  image: ${TO}` },
    added: [`    image: ${STREAMING}`],
  },
  {
    title: 'an anchored scalar, and its aliases',
    files: {
      'docker-compose.yml': `x-image: &image ${FROM}\nservices:\n  web:\n    image: *image\n  sidekiq: {image: *image}\n  streaming:\n    image: ${FROM}\n`,
    },
    after: {
      [`x-image: &image ${FROM}`]: `x-image: &image ${TO}`,
      [`    image: ${FROM}`]: `    image: ${STREAMING}`,
    },
  },
  {
    title: 'an override file that has the last word',
    files: {
      'docker-compose.yml': `services:\n  web:\n    image: tootsuite/mastodon:v4.1.0\n  sidekiq:\n    image: ${FROM}\n  streaming:\n    image: ${FROM}\n`,
      'docker-compose.override.yml': `services:\n    web:\n        environment: { A: b }\n        image: ${FROM}\n`,
    },
    after: {
      [`        image: ${FROM}`]: `        image: ${TO}`,
      [`    image: ${FROM}`]: `    image: ${TO}`,
      [`    image: ${FROM}\n#2`]: `    image: ${STREAMING}`,
    },
  },
  {
    title: 'services that extend one of another file',
    files: {
      'docker-compose.yml': `services:\n  web:\n    extends: { file: parts/app.yml, service: app }\n  sidekiq:\n    extends:\n      file: parts/app.yml\n      service: app\n    command: sidekiq\n  streaming:\n    extends: { file: parts/app.yml, service: node }\n`,
      'parts/app.yml': `services:\n  app:\n    image: ${FROM}\n  node:\n    image: ${FROM}\n`,
    },
    after: { [`    image: ${FROM}`]: `    image: ${TO}`, [`    image: ${FROM}\n#2`]: `    image: ${STREAMING}` },
  },
  {
    title: 'an included file with an .env of its own',
    files: {
      'docker-compose.yml': `include:\n  - mastodon/compose.yml\nservices:\n${DB}`,
      'mastodon/compose.yml': `services:\n  web:\n    image: ghcr.io/mastodon/mastodon:\${TAG}\n  sidekiq:\n    image: ghcr.io/mastodon/mastodon:\${TAG}\n  streaming:\n    image: ghcr.io/mastodon/mastodon:\${TAG}\n`,
      'mastodon/.env': 'TAG=v4.2.9\n',
    },
    after: {
      'TAG=v4.2.9': 'TAG=v4.3.8',
      '    image: ghcr.io/mastodon/mastodon:${TAG}\n#3': '    image: ghcr.io/mastodon/mastodon-streaming:${TAG}',
    },
  },
  {
    title: 'one variable for the whole image',
    files: {
      '.env': `export MASTODON='${FROM}'\n`,
      'docker-compose.yml': `services:\n  web:\n    image: \${MASTODON}\n  sidekiq:\n    image: \${MASTODON:?no image}\n  streaming:\n    image: "\${MASTODON}"\n`,
    },
    after: {
      [`export MASTODON='${FROM}'`]: `export MASTODON='${TO}'`,
      '    image: "${MASTODON}"': `    image: "${STREAMING}"`,
    },
  },
  {
    title: 'carriage returns, files by name',
    given: ['stack.yml', 'release.yml'],
    files: {
      'stack.yml': `services:\r\n  web:\r\n    command: puma\r\n  sidekiq:\r\n    command: sidekiq\r\n  streaming:\r\n    command: node\r\n`,
      'release.yml': `services:\r\n  web:\r\n    image: ${FROM}\r\n  sidekiq:\r\n    image: ${FROM}\r\n  streaming:\r\n    image: ${FROM}\r\n`,
    },
    after: {
      [`    image: ${FROM}\r`]: `    image: ${TO}\r`,
      [`    image: ${FROM}\r\n#2`]: `    image: ${TO}\r`,
      [`    image: ${FROM}\r\n#3`]: `    image: ${STREAMING}\r`,
    },
  },
]
