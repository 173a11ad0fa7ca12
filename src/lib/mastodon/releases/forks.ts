/** A fork that keeps Mastodon's schema and adds to it: by these rows of schema_migrations its databases are known. */
export interface Fork {
  name: string
  versions: readonly string[]
}

/** Hometown shares one with glitch-soc, so that it is told by the others. Source: db/migrate of each. */
export const FORKS: readonly Fork[] = [
  { name: 'Hometown', versions: ['20190712233435', '20190726034905'] },
  {
    name: 'glitch-soc',
    versions: [
      '20170914032032',
      '20171009222537',
      '20171021191900',
      '20171210213213',
      '20180410220657',
      '20180604000556',
      '20180707193142',
      '20180813160548',
      '20190512200918',
      '20220209175231',
    ],
  },
]

/** A migration whose file went with 3.2.0: only databases that are older have its row. Source: db/migrate @v3.2.0. */
export const RETIRED = { id: '20170129000348', gone: '3.2.0' } as const
