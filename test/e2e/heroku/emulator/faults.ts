/** What may go wrong, in the shapes that Heroku and the network give it. */
export type Fault = ApiFault | AttachFault | DataFault

export interface ApiFault extends Aim {
  readonly kind: /** The API's own errors, as `{id, message}` with 401, 403, 404, 422, 429 and 500. */
    | 'unauthorized'
    | 'forbidden'
    | 'not-found'
    | 'unprocessable'
    | 'rate-limit'
    | 'server-error'
    /** 503 with a page of HTML. */
    | 'html'
    /** The true answer, cut in half. */
    | 'truncated'
    /** The true answer, `milliseconds` later. */
    | 'slow'
    /** The connection is reset before anything happened, or when all has happened and only the answer is missing. */
    | 'reset-before'
    | 'reset-after'
  readonly method?: string
  /** Against the path without its query. Any path where it is left out. */
  readonly path?: RegExp
  /** Against the body as JSON. Any body where it is left out. */
  readonly body?: RegExp
  /** In place of the usual text of the error. */
  readonly message?: string
  readonly milliseconds?: number
}

export interface AttachFault extends Aim {
  readonly kind: /** The connection ends when it is made; the process never starts. */
    | 'drop-at-once'
    /** The connection ends after `bytes` of output, and the process with it. */
    | 'drop-after'
    /** The process ends by itself; the end of its output is lost: `lose` bytes, or all from the client's marker on. */
    | 'drop-before-end'
    /** The client's marker comes in two chunks. */
    | 'split-marker'
    /** The process is killed `milliseconds` after its start, for want of memory; the connection ends in good order. */
    | 'killed'
  /** Against the command of the one-off. Any command where it is left out. */
  readonly command?: RegExp
  readonly bytes?: number
  readonly lose?: number
  readonly milliseconds?: number
}

/** What the data host and its store of dumps may do. */
export interface DataFault extends Aim {
  readonly kind: /** A backup or restore ends half way: half of a dump, or the tables restored and their rows not. */
    | 'transfer-fails'
    /** It is under way and nothing comes of it until it is cancelled. */
    | 'transfer-hangs'
    /** 202 to a reset that is not carried out. */
    | 'reset-idle'
    /** The store answers 403, or 200, with a page of HTML. */
    | 'download-403'
    | 'download-page'
    /** Half of the dump, with the length of the whole or with its own end. */
    | 'download-cut'
    | 'download-short'
    /** The store sends the client elsewhere: to itself by https, or to an address without encryption. */
    | 'download-moved'
    | 'download-moved-http'
    /** The add-on is ordered, and the platform cannot make it. */
    | 'provision-fails'
    /** The release phase does not end well. */
    | 'release-fails'
    /** The build of what was pushed does not end well. */
    | 'build-fails'
    /** The build takes ten seconds. */
    | 'build-slow'
}

interface Aim {
  /** How often it happens (1). */
  readonly times?: number
}

const ATTACH: readonly string[] = ['drop-at-once', 'drop-after', 'drop-before-end', 'split-marker', 'killed']

/** The faults that were asked for and have not happened yet. */
export class Faults {
  #waiting: { readonly fault: Fault; left: number }[] = []

  add(fault: Fault): void {
    this.#waiting.push({ fault, left: fault.times ?? 1 })
  }

  clear(): void {
    this.#waiting = []
  }

  /** Returns the next fault for this request, and counts it as happened. */
  forRequest(method: string, path: string, body: object): ApiFault | undefined {
    const fits = (fault: Fault) =>
      isOfApi(fault) &&
      (fault.method ?? method) === method &&
      (fault.path === undefined || fault.path.test(path)) &&
      (fault.body === undefined || fault.body.test(JSON.stringify(body)))
    return this.#take(fits) as ApiFault | undefined
  }

  /** Returns the next fault for the attached one-off that runs this command, and counts it as happened. */
  forAttach(command: string): AttachFault | undefined {
    return this.#take(fault => isAttach(fault) && (fault.command === undefined || fault.command.test(command))) as
      | AttachFault
      | undefined
  }

  /** Returns whether this is to go wrong now, and counts it as happened. */
  takes(kind: DataFault['kind']): boolean {
    return this.#take(fault => fault.kind === kind) !== undefined
  }

  #take(fits: (fault: Fault) => boolean): Fault | undefined {
    const found = this.#waiting.find(({ fault, left }) => left > 0 && fits(fault))
    if (found) found.left -= 1
    return found?.fault
  }
}

function isAttach(fault: Fault): fault is AttachFault {
  return ATTACH.includes(fault.kind)
}

function isOfApi(fault: Fault): fault is ApiFault {
  return !isAttach(fault) && !/^(transfer|reset-idle|download|provision|release|build)/.test(fault.kind)
}

/** What the API says in each case: status, id, message. */
export const ERRORS: Readonly<Record<string, readonly [number, string, string]>> = {
  unauthorized: [401, 'unauthorized', 'Invalid credentials provided.'],
  forbidden: [403, 'forbidden', 'You do not have access to the app.'],
  'not-found': [404, 'not_found', "Couldn't find that app."],
  unprocessable: [422, 'invalid_params', 'Request was well-formed, but failed validation.'],
  'rate-limit': [
    429,
    'rate_limit',
    'Your account has reached the API rate limit. Please wait a few minutes before making new requests.',
  ],
  'server-error': [500, 'internal_server_error', 'Internal server error.'],
}

export const HTML_PAGE = `<!DOCTYPE html>
<html><head><title>Application Error</title></head>
<body><h1>503 Service Unavailable</h1><p>No server is available to handle this request.</p></body></html>
`
