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
 * @property {string | null} user the id of whoever was signed in when it was first sent
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
 *   the server has not been told: that is tried again, after a reload too but in mode bearer; or for good where it refuses
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
 *   gets no token. Throws AuthError when another user was signed in meanwhile
 * @property {(ticket: Ticket | null, status: number, code?: string) => Promise<boolean>} recover whether to send
 *   again. A 401 of a wrong password or code says nothing of the token. Nothing is repeated in another's name
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
 * @property {{ now: () => number }} performance the clock that nobody sets
 * @property {any} [document]
 * @property {any} [location]
 * @property {any} [localStorage]
 * @property {any} [navigator]
 * @property {any} [BroadcastChannel]
 */

/** @typedef {(options?: Options, world?: World) => Auth} CreateAuth */

/**
 * What a call came to. `ok` only with a body: a 2xx without JSON is a captive portal's. `retryAfter` in seconds.
 * @typedef {{ ok: boolean, status: number, body: any, retryAfter: number | undefined }} Answer
 */

/**
 * @typedef {object} Call
 * @property {object} [body] sent as JSON
 * @property {number} [seconds] after which it is given up
 * @property {boolean} [keepalive] sent to its end though the page goes
 */

/** @typedef {{ headers?: Record<string, string>, send?: typeof globalThis.fetch }} Sent */

/** @typedef {import("./wire.js").AuthError} AuthError */

/**
 * What AuthError is made of: what there is of an Answer. A problem document is RFC 9457's.
 * @typedef {{ code?: string, detail?: string, errors?: { field: string, code: string, message: string }[] }} Problem
 * @typedef {{ status?: number, body?: Problem | null, retryAfter?: number, cause?: unknown }} Refusal
 */

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
 * @property {Set<(state: State) => void>} listeners
 * @property {any} [timer]
 * @property {Promise<boolean> | null} [renewing]
 * @property {Promise<boolean> | null} [parting]
 * @property {Promise<Answer>} [greeting] the last question whose the tokens are that came
 * @property {{ path: string, body: object, session: string | null } | null} [departing] a sign-out that the server has
 *   still to be told of; its path is kept in localStorage, as it outlives the page, unless it needs a refresh token, which
 *   does not
 */

/**
 * The functions inside of client.js and wire.js, and what they keep.
 * @typedef {object} Inside
 * @property {Kept} my
 * @property {State} state
 * @property {Refusal} refusal
 * @property {(body: any, name: string) => any} read a field of an answer, whose keys may be in camel case
 * @property {(method: string) => boolean} unsafe
 * @property {<T>(world: World, seconds: number, work: (signal: AbortSignal) => Promise<T>) => Promise<T>} within gives
 *   `work` a signal that ends it after so long
 * @property {(answer: Response) => Promise<any>} parsed its JSON; null for what no server of logins says, but something on
 *   the way to it
 * @property {(base: string, world: World, fetch: typeof globalThis.fetch, my: Kept) =>
 *   Pick<Inside, "ask" | "exchange"> & { headers: (method: string) => Record<string, string>, prove: () => Promise<void> }} calls
 * @property {(method: string, path: string, more?: Call & Sent) => Promise<Answer>} ask throws AuthError when no answer
 *   comes. Of a Retry-After that is a date nothing is made (RFC 9110 §10.2.3), as the local clock may be wrong
 * @property {(method: string, path: string, more?: Call) => Promise<Answer>} exchange asks as whoever is signed in, and
 *   once more if a proof against forgery is wanted. It renews nothing: /refresh itself goes this way
 * @property {(fetch: typeof globalThis.fetch, prepare: Auth["prepare"], recover: Auth["recover"]) => Auth["fetch"]} fetching sends a
 *   stream once
 * @property {<T>(signal: AbortSignal | null | undefined, work: Promise<T>) => Promise<T>} until what comes of `work`, or the
 *   reason for which its caller no longer waits for it
 * @property {<T>(name: string, seconds: number, world: World, work: () => Promise<T>) => Promise<T>} alone does its work when
 *   no other tab does, but does not wait for ever: a tab may be frozen with the lock, and the server copes with both
 * @property {(data: any) => boolean} wellFormed whether it is a Message: any script of this origin can send one (ASVS 5.0 3.5.5)
 * @property {(seconds: number) => Promise<void>} pause
 * @property {(change: Partial<State>) => void} become tells the listeners, if it is a change
 * @property {(seconds?: number) => void} arm sets the one timer there is, by default for when to try again after
 *   a failure. In Node it keeps no process alive
 * @property {(grant: { token: string | null, life: number, timeout: number }, at: number) => void} hold
 *   tokens; their timer is not the same in all tabs, so that one renews for all
 * @property {(body: any, at: number) => any} take what an answer says besides tokens, which are taken out of it; `at` is
 *   when it was asked for, as the server's seconds began later. Which key is the access token's, and how keys are spelt,
 *   are settings of the server: they are told from what they hold, and what is to be given back goes under the key that it
 *   came by
 * @property {(who: { user: User, session: Session }) => void} enter somebody is signed in, be it by another tab
 * @property {() => void} leave nobody is, as far as this page goes
 * @property {() => void} turn what belonged to one session is not the next one's
 * @property {(body?: any) => Promise<void>} greet finds out whose the tokens are that came just now, and tells other tabs
 * @property {(event: { data: any }) => void} hear what another tab tells. In mode bearer each tab's session is its own
 * @property {() => Promise<void>} attempt one call of /refresh, and whose session it is of
 * @property {() => Promise<boolean>} renew one at a time in each tab; see Auth.refresh. What another tab has to tell
 *   comes first: then it is done. Nobody asks before the server has said
 * @property {(user: string | null) => boolean} same whether a request that this user began is not another's now
 * @property {(error: AuthError, tries: number) => number} patience seconds until another try is worth it while callers
 *   wait. A 401 with a code is not of /refresh but of the /me after it: the session ended in
 *   between. One without is a gateway's
 * @property {() => Promise<void>} settled a renewal under way is over. Its answer, if it landed after a sign-in or sign-out,
 *   would put the old session's tokens back into the jar
 * @property {(path: string, body: object, headers?: Record<string, string>) => Promise<SignedIn>} step of a sign-in. A
 *   sign-out that the server was not told of yet goes before it: later it would be forgotten, or end the sign-in
 * @property {(work: (store: Storage) => any) => any} stored undefined in a page that may store nothing
 * @property {() => void} departed nobody has to be told of a sign-out
 * @property {() => Promise<boolean>} depart tells the server of a sign-out; true when nothing is left to be told.
 *   What the server refuses for good is not tried again
 * @property {<T>(work: () => Promise<T>) => Promise<T>} locked
 * @property {(event: { type: string, persisted?: boolean }) => void} wake renews if it is due. Out of the browser's memory
 *   (`pageshow`) a page knows only what was, and asks
 */

export {};
