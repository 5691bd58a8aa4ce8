// The shapes that the modules beside this one speak of. For type checkers and readers: nothing here runs.

/**
 * What the server tells of a user, its keys in the case that the server is set to.
 * @typedef {{ id: string } & Record<string, any>} User
 */

/**
 * One sign-in on one device.
 * @typedef {{ id: string } & Record<string, any>} Session
 */

/**
 * "pending" until it is known whether somebody is signed in; never again after that.
 * @typedef {"pending" | "signed-in" | "signed-out"} Status
 */

/**
 * What is known. Another object whenever anything in it is different. `user` and `session` are null unless signed in;
 * `error` is why the last renewal failed, and null as soon as one succeeds.
 * @typedef {Readonly<{ status: Status, user: User | null, session: Session | null, error: Error | null }>} State
 */

/**
 * @typedef {object} Options
 * @property {string | URL} [baseURL] where the routes of the login are, such as "https://api.example.com/auth"; by
 *   default the folder that client.js was loaded from, and "/auth" of the page for a copy from a package
 * @property {"cookies" | "hybrid" | "bearer" | "jwt_cookie" | "session"} [mode] asked for at sign-in, where the server
 *   offers several. "session" and "jwt_cookie" renew themselves, so that no timer keeps an idle page signed in
 * @property {typeof globalThis.fetch} [fetch] instead of the platform's
 * @property {readonly string[]} [origins] further origins that may see the access token; the page's and the server's do
 * @property {boolean} [boot] false: do not ask at once whether somebody is signed in (rendering on a server)
 */

/**
 * What a server still asks for after a sign-in with the right password.
 * @typedef {{ step: "two_factor" | "verify_email" } & Record<string, any>} Next
 */

/**
 * How a step of a sign-in ended: with somebody signed in, or with what comes next.
 * @typedef {{ user?: User, session?: Session, next: Next | null } & Record<string, any>} SignedIn
 */

/**
 * What a request must carry, from `prepare`. For the adapters of HTTP libraries.
 * @typedef {object} Ticket
 * @property {Record<string, string>} headers
 * @property {boolean} include whether cookies go along although the origin may be another
 * @property {string} url the whole address
 * @property {string | null} user the id of whoever was signed in
 * @property {number} taken how many times tokens had been renewed
 * @property {number[]} tried the statuses that were recovered from already
 */

/**
 * @typedef {object} Auth
 * @property {(credentials: { email?: string, username?: string, password: string }) => Promise<SignedIn>} signIn
 *   throws AuthError: `invalid_credentials`, `rate_limited`, …
 * @property {(code: string, method?: string) => Promise<SignedIn>} verifyCode the second step; throws AuthError:
 *   `code_invalid`, `challenge_expired`, `too_many_attempts`
 * @property {() => Promise<Record<string, any>>} resendCode
 * @property {(options?: { everywhere?: boolean }) => Promise<boolean>} signOut forgets everything at once. False while
 *   the server has not been told: that is tried again, after a reload too
 * @property {typeof globalThis.fetch} fetch as the platform's, signed in. Rejects when neither renewed nor refused
 * @property {() => Promise<boolean>} refresh renews now; false: signed out. Throws AuthError when nobody can tell
 * @property {(method: string, path: string, body?: object, headers?: Record<string, string>) => Promise<any>} call
 *   another route of the login, JSON both ways: call("GET", "/sessions"). Throws AuthError
 * @property {(listener: (state: State) => void) => () => void} onChange returns what ends it
 * @property {Promise<State>} ready when it is known who is signed in, or that the server does not say
 * @property {State} state
 * @property {User | null} user
 * @property {Session | null} session
 * @property {Status} status
 * @property {string} baseURL without a slash at its end
 * @property {(url: string, method?: string, earlier?: Ticket | null) => Promise<Ticket | null>} prepare null: an origin that
 *   gets no token
 * @property {(ticket: Ticket | null, status: number, code?: string) => Promise<boolean>} recover whether to send again
 * @property {() => void} close stops timers and listeners; signs nobody out
 */

/**
 * What tabs of one origin tell each other.
 * @typedef {{ kind: "signed-in", token: string | null, life: number, timeout: number, user: User, session: Session }
 *   | { kind: "signed-out", session: string | null }} Message
 */

/**
 * What the client uses of its platform: a window, a worker, Node. Tests bring their own.
 * @typedef {object} World
 * @property {typeof globalThis.fetch} fetch
 * @property {(work: () => void, milliseconds: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {{ now: () => number }} performance
 * @property {any} [document]
 * @property {any} [location]
 * @property {any} [localStorage]
 * @property {any} [navigator]
 * @property {any} [BroadcastChannel]
 */

/** @typedef {(options?: Options, world?: World) => Auth} CreateAuth */

/**
 * What a call came to. `retryAfter` in seconds.
 * @typedef {{ ok: boolean, status: number, body: any, retryAfter: number | undefined }} Answer
 */

/**
 * @typedef {object} Call
 * @property {object} [body] sent as JSON
 * @property {Record<string, string>} [headers]
 * @property {number} [seconds] after which it is given up
 * @property {boolean} [keepalive] sent to its end though the page goes
 */

/**
 * @typedef {(base: string, world: World, fetch: typeof globalThis.fetch, my: Kept) =>
 *   Pick<Inside, "exchange" | "headers"> & { prove: () => Promise<void> }} Calls
 */

/** @typedef {(fetch: typeof globalThis.fetch, prepare: Auth["prepare"], recover: Auth["recover"]) => Auth["fetch"]} Fetching */

/** @typedef {<T>(seconds: number, work: () => Promise<T>) => Promise<T>} Alone */

/**
 * @typedef {(name: string, world: World, hear: (message: Message) => void) =>
 *   { tell: (message: Message) => void, close: () => void, alone: Alone }} Tabs
 */

/** @typedef {import("./wire.js").AuthError} AuthError */

/**
 * What `createAuth` keeps to itself. Instants and spans are in seconds of the clock that nobody sets.
 * @typedef {object} Kept
 * @property {string | null} token the access token, in the modes in which pages see it
 * @property {object} [kept] the refresh token of mode bearer, as the body that gives it back
 * @property {object} [waiting] the same of a sign-in that waits for its second step
 * @property {string} [proof] against forgery: absent while the server has not asked for any, "" when it must be fetched
 * @property {number} life of the tokens
 * @property {number} expires
 * @property {number} timeout of a call of /refresh
 * @property {number} taken how many times tokens came
 * @property {number} epoch how many times somebody else was signed in, or nobody
 * @property {number} failures in a row
 * @property {number} blocked until when the server asked to be left alone
 * @property {number} leaving sign-ins and sign-outs that wait for a renewal to end
 * @property {any} [timer]
 * @property {Promise<boolean> | null} [renewing]
 * @property {Promise<boolean> | null} [parting]
 * @property {{ path: string, body: object, headers: Record<string, string>, session: string | null } | null} [departing]
 *   a sign-out that the server has still to be told of
 */

/**
 * The functions inside of client.js.
 * @typedef {object} Inside
 * @property {(body: any, name: string) => any} read a field of an answer, whose keys may be in camel case
 * @property {(method: string) => boolean} unsafe
 * @property {(seconds: number) => Promise<void>} pause
 * @property {(change: Partial<State>) => void} become
 * @property {(seconds: number) => void} arm
 * @property {(grant: { token: string | null, life: number, timeout: number }, at: number) => void} hold
 * @property {(body: any, at: number) => any} take what an answer says besides tokens, which are taken out of it; `at` is
 *   when it was asked for, as the server's seconds began later
 * @property {(who: { user: User, session: Session }) => void} enter
 * @property {(message: Message) => void} hear
 * @property {(method: string) => Promise<Record<string, string>>} headers
 * @property {(method: string, path: string, more?: Call) => Promise<Answer>} exchange
 * @property {(error: AuthError, tries: number) => number} patience
 * @property {(error: AuthError) => AuthError} failed
 * @property {(path: string, body: object, headers?: Record<string, string>) => Promise<SignedIn>} step
 * @property {(path?: string) => string | null | undefined} mark
 * @property {() => Promise<boolean>} depart
 * @property {(event: { type: string, persisted?: boolean }) => void} wake
 * @property {(world: World, seconds: number) => { signal: AbortSignal, clear: () => void }} deadline
 * @property {<T>(signal: AbortSignal | null | undefined, work: Promise<T>) => Promise<T>} until
 */

export {};
