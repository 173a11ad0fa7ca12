/** What is to be built. */
export interface SourcesWanted {
  /** The versions of the release that is in force and of the one that is to be, like `4.3.8`. */
  from: string
  to: string
  /** The operator's checkout with the code of the app; the app's own repository where there is none. */
  checkout?: string
  /** Deploy the release as its project made it: commits of the operator's own go. */
  discard: boolean
  /** Put commits of the operator's own on top of the release, one by one; `discard`: without their former history. */
  rebase?: boolean
  /** In the checkout: what is deployed in place of the release that it calls itself (`to`). */
  ref?: Ref
}

/** What a name of git leads to. */
export interface Ref {
  name: string
  commit: string
}

/** A commit that the project of the release has not. */
export interface OwnCommit {
  id: string
  subject: string
  author: string
}

/** Sources that are ready to be built, in a checkout of this tool's own. */
export interface Sources {
  commit: string
  /** What the app's repository held when they were made ready; null where it was empty. */
  head: string | null
  /** The branch that the platform builds. */
  branch: string
  /** Newest first. */
  own: OwnCommit[]
  /** Whether the operator's own commits are left out. */
  discards: boolean
  /** Whether the app's repository holds commits that these have not, so that the push has to be forced. */
  forced: boolean
  /** The name of git that was asked for, where it is no release. */
  ref?: string
}

/** The code and configuration that are in force. */
export interface Built {
  /** Names the release for the platform. */
  id: string
  /** Like `v42`. */
  label: string
  /** Names the code: two releases of the same code have the same. */
  slug: string
  /** What it was built from, where the platform knows. */
  commit: string | undefined
}

/** Where the platform builds a release from sources that are pushed to it, and puts it into force at once. */
export interface ReleaseBuild {
  /**
   * Returns what a name of git leads to in the operator's checkout (without one: in that of the present folder), with the
   * text of its lib/mastodon/version.rb; undefined where there is no checkout, or it has no such thing.
   */
  find(name: string, checkout?: string): Promise<(Ref & { versionFile: string }) | undefined>
  /**
   * Fetches the release, and brings the operator's own commits together with it. Nothing of the app changes.
   *
   * @throws RefusedError where they conflict, or it cannot be told what the app runs.
   */
  prepare(wanted: SourcesWanted, onProgress: (text: string) => void): Promise<Sources>
  /** What is in force now. */
  inForce(): Promise<Built>
  isInForce(commit: string): Promise<boolean>
  /** Returns once nothing is being built any more. @throws OutcomeUnknownError when that does not end. */
  untilOver(): Promise<void>
  /**
   * Pushes the sources, and returns when what was built of them is in force. Each line of the build goes to `onLine`.
   *
   * @throws RefusedError when the push or the build failed: what was in force still is.
   */
  push(sources: Sources, onLine: (line: string) => void): Promise<void>
  /**
   * Puts the code of this release into force again, with the configuration as it is now: what was set since stays set.
   * Safe to repeat under the same key.
   */
  goBack(to: Built, key: string): Promise<void>
}
