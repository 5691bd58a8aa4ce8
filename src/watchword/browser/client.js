// Keeps somebody signed in, whatever mode the server is in. All that `createAuth` takes and gives: types.js.
//
//   const auth = createAuth();
//   auth.onChange(({ status, user }) => …);                       // "pending", "signed-in", "signed-out"
//   const { next } = await auth.signIn({ email, password });      // throws AuthError, with `code`
//   if (next?.step === "two_factor") await auth.verifyCode(code); // or resendCode()
//   await auth.fetch("/profile");                                 // as fetch
//   await auth.call("POST", "/password/change", { … });           // any other route of the login
//   await auth.signOut();
//
// Tokens are in memory alone, in mode bearer the refresh token too. Only a 401 from /refresh means signed out.

/** @import { Auth, CreateAuth, Inside, Kept, State, Ticket } from "./types.js" */

import { AuthError, calls, fetching, folder, read, tabs, unsafe } from "./wire.js";

export { AuthError };

const TRIES = 4;
const PATIENCE = 5; // seconds that callers are kept waiting because a server asks for it
// A 401 of these says nothing of the token.
const OTHER = /^(invalid_credentials|code_invalid|challenge_expired|reauthentication_required)$/;
const ignore = () => {};

/** @type {CreateAuth} */
export const createAuth = (options = {}, world = globalThis) => {
  const { mode, fetch = (...words) => world.fetch(...words) } = options;
  const page = world.document?.baseURI ?? world.location?.href;
  const base = new URL(options.baseURL ?? folder(), page).href.replace(/\/*$/, "");
  const home = new URL(base).origin;
  const origins = [home, page && new URL(page).origin, ...(options.origins ?? [])];
  const renewsItself = mode === "session" || mode === "jwt_cookie";
  const now = () => world.performance.now() / 1000; // of the clock that nobody sets
  /** @type {Inside["pause"]} */
  const pause = (seconds) => new Promise((resolve) => void world.setTimeout(resolve, seconds * 1000));
  const { alone, close, tell } = tabs(`watchword ${base}`, world, hear);
  const gone = new AbortController();
  /** @type {Set<(state: State) => void>} */
  const listeners = new Set();
  /** @type {Kept} */
  const my = { token: null, life: 0, expires: 0, timeout: 8, taken: 0, epoch: 0, failures: 0, blocked: 0, leaving: 0 };
  const { exchange, headers, prove } = calls(base, world, fetch, my);
  /** @type {State} */
  let state = Object.freeze({ status: "pending", user: null, session: null, error: null });

  /** @type {Inside["become"]} */
  function become(change) {
    const next = { ...state, ...change };
    if (JSON.stringify(next.user) === JSON.stringify(state.user)) next.user = state.user;
    if (next.error === state.error && JSON.stringify(next) === JSON.stringify(state)) return;
    state = Object.freeze(next);
    for (const listener of [...listeners]) listener(state);
  }
  const signedIn = () => state.status === "signed-in";

  /** @type {Inside["arm"]} */
  function arm(seconds) {
    world.clearTimeout(my.timer);
    if (gone.signal.aborted) return;
    my.timer = world.setTimeout(tick, Math.min(Math.max(seconds, 0.5), 86_400) * 1000);
    my.timer.unref?.(); // in Node it would keep the process alive
  }
  const tick = () => (my.departing ? depart() : renew().catch(ignore));

  /** @type {Inside["hold"]} */
  function hold({ token, life, timeout }, at) {
    Object.assign(my, { token, life, timeout, expires: at + life, failures: 0, blocked: 0 });
    my.taken += 1;
    if (renewsItself) world.clearTimeout(my.timer);
    else arm(life * (0.75 + Math.random() / 10)); // so that tabs do not renew all at once
  }

  // Tokens go out of an answer. Which key is the access token's, and how keys are spelt, are settings of the server: they
  // are told from what they hold, and what is to be given back goes under the key that it came by.
  /** @type {Inside["take"]} */
  function take(body, at) {
    const rest = { ...body };
    let token = null;
    for (const [key, value] of Object.entries(rest)) {
      if (/^two_?factor_?token$/i.test(key)) my.waiting = { [key]: value };
      else if (/^refresh_?token$/i.test(key)) my.kept = { [key]: value };
      else if (read(body, "token_type") && typeof value === "string") token = /^token_?type$/i.test(key) ? token : value;
      else continue;
      delete rest[key];
    }
    const timeout = read(body, "refresh_timeout");
    if (timeout) hold({ token, life: read(body, "expires_in"), timeout }, at);
    return rest;
  }

  // Somebody is signed in, be it by another tab.
  /** @type {Inside["enter"]} */
  function enter({ user, session }) {
    if (session.id !== state.session?.id) {
      my.epoch += 1;
      my.proof &&= "";
    }
    my.waiting = undefined;
    mark("");
    become({ status: "signed-in", user, session, error: null });
  }

  // Nobody is, as far as this page goes.
  function leave() {
    my.epoch += 1;
    my.proof &&= "";
    Object.assign(my, { token: null, kept: undefined, waiting: undefined, failures: 0, blocked: 0 });
    world.clearTimeout(my.timer);
    become({ status: "signed-out", user: null, session: null, error: null });
  }

  function handOn() {
    const { user, session } = state;
    const { token, timeout, expires } = my;
    if (user && session && !my.kept) tell({ kind: "signed-in", token, life: expires - now(), timeout, user, session });
  }

  /** @type {Inside["hear"]} */
  function hear(message) {
    if (my.kept || mode === "bearer") return; // this tab's session is its own
    const id = state.session?.id;
    if (message.kind === "signed-out") {
      if (!id || !message.session || message.session === id) leave();
    } else if (message.session.id !== my.departing?.session) {
      if (message.session.id === id && now() + message.life <= my.expires) return;
      hold(message, now());
      enter(message);
    }
  }

  async function identify() {
    const { epoch } = my;
    const me = await exchange("GET", "/me", { seconds: my.timeout });
    if (!me.ok) throw new AuthError(me);
    if (my.epoch === epoch) enter(me.body);
  }

  // One call of /refresh, and whose session it is.
  async function attempt() {
    const { epoch, kept, timeout } = my;
    const at = now();
    const answer = mode === "bearer" && !kept ? null : await exchange("POST", "/refresh", { body: kept, seconds: timeout });
    if (my.epoch !== epoch) return;
    if (!answer || answer.status === 401) return leave();
    if (!answer.ok) throw new AuthError(answer);
    take(answer.body, at);
    await identify();
    handOn();
  }

  function renew() {
    my.renewing ??= run().finally(() => { my.renewing = null; });
    return my.renewing;
  }

  async function run() {
    if (my.departing) return false;
    if (my.blocked > now() && state.error) throw state.error; // the server has said when
    let { taken, epoch } = my;
    const asked = now();
    return alone(my.timeout, async () => {
      if (now() - asked > 0.02) await pause(0.05); // for what the tab has to tell that we waited for
      for (let tries = 1; ; tries += 1) {
        if (my.taken !== taken || my.epoch !== epoch) return signedIn(); // by another tab
        try {
          await attempt();
          return signedIn();
        } catch (error) {
          if (!(error instanceof AuthError)) throw error;
          taken = my.taken;
          const wait = patience(error, tries);
          if (wait > PATIENCE || tries === TRIES || my.leaving) throw failed(error);
          await pause(wait);
        }
      }
    });
  }

  // Seconds until another try is worth it while callers wait.
  /** @type {Inside["patience"]} */
  function patience({ status, retryAfter }, tries) {
    if ([409, 429, 503].includes(status)) return retryAfter ?? 1;
    if (status === 401) return 0; // of /me: the session ended in between
    return status || world.navigator?.onLine === false ? Infinity : 0.1 * 2 ** tries;
  }

  /** @type {Inside["failed"]} */
  function failed(error) {
    my.failures += 1;
    my.blocked = now() + (error.retryAfter ?? 0);
    become({ error });
    arm(error.retryAfter ?? Math.min(2 ** my.failures, 60) * (0.5 + Math.random() / 2));
    return error;
  }

  // An answer that lands after a sign-in or sign-out would put the old session's tokens back into the jar, or clear it.
  async function settled() {
    my.leaving += 1;
    await my.renewing?.catch(ignore);
    await my.parting;
    my.leaving -= 1;
  }

  /** @type {Auth["call"]} */
  async function call(method, path, body, headers) {
    for (let ticket = /** @type {Ticket | null} */ (null); ; ) {
      if (unsafe(method)) await settled();
      ticket = await prepare(base + path, method, ticket);
      const { taken } = my;
      const at = now();
      const send = () => exchange(method, path, { body, headers });
      const answer = await (unsafe(method) ? alone(my.timeout, send) : send());
      if (!answer.ok) {
        if (await recover(ticket, answer.status, answer.body?.code)) continue;
        throw new AuthError(answer);
      }
      const rest = take(answer.body, at);
      if (my.taken !== taken) {
        if (rest.user && rest.session) enter(rest);
        else await identify().catch(ignore);
        handOn();
      }
      return rest;
    }
  }

  /** @type {Inside["step"]} */
  const step = async (path, body, headers) => ({ next: null, ...(await call("POST", path, body, headers)) });

  // The path of a sign-out that the server has still to be told of: "" for none. It outlives the page.
  /** @type {Inside["mark"]} */
  function mark(path) {
    if (path === "") my.departing = null;
    try {
      const store = world.document && world.localStorage;
      if (path === "") store?.removeItem(`watchword ${base}`);
      else if (path) store?.setItem(`watchword ${base}`, path);
      return store?.getItem(`watchword ${base}`);
    } catch {
      return null; // a page that may store nothing
    }
  }

  /** @type {Inside["depart"]} */
  function depart() {
    my.parting ??= alone(my.timeout, async () => {
      if (!my.departing) return true;
      const { path, body, headers } = my.departing;
      const answer = await exchange("POST", path, { body, headers, seconds: my.timeout, keepalive: true }).catch(ignore);
      if (answer?.ok) mark("");
      else arm(Math.min(2 ** (my.failures += 1), 60));
      return Boolean(answer?.ok);
    }).finally(() => { my.parting = null; });
    return my.parting;
  }

  /** @type {Auth["signOut"]} */
  async function signOut({ everywhere = false } = {}) {
    await settled();
    const session = state.session?.id ?? null;
    const path = everywhere ? "/logout/all" : "/logout";
    my.departing = { path, session, body: { ...my.kept, ...my.waiting }, headers: await headers("GET") };
    mark(path);
    if (!my.kept) tell({ kind: "signed-out", session });
    leave();
    return depart();
  }

  /** @type {Auth["prepare"]} */
  async function prepare(url, method = "GET", earlier) {
    const target = new URL(url, page ?? `${home}/`);
    if (!origins.includes(target.origin)) return null;
    const over = signedIn() && !renewsItself && now() >= my.expires;
    if (over) renew().catch(ignore);
    if (over || state.status === "pending") await my.renewing?.catch(ignore);
    const include = target.origin === home;
    const user = state.user?.id ?? null;
    const { href } = target;
    return { headers: await headers(include ? method : "GET"), include, url: href, user, taken: my.taken, tried: earlier?.tried ?? [] };
  }

  /** @type {Auth["recover"]} */
  async function recover(ticket, status, code = "") {
    if (!ticket || ticket.tried.includes(status)) return false;
    ticket.tried.push(status);
    if (code === "csrf_rejected" && ticket.include) return prove().then(() => true, () => false);
    if (status !== 401 || OTHER.test(code) || state.status === "signed-out" || ticket.url === `${base}/refresh`) return false;
    if (ticket.taken === my.taken) await renew();
    // What one user has begun is not repeated in another's name.
    return signedIn() && [null, state.user?.id].includes(ticket.user);
  }

  /** @type {Inside["wake"]} */
  function wake({ type, persisted }) {
    if (world.document?.visibilityState === "hidden") return;
    const due = state.error || (signedIn() && !renewsItself && now() >= my.expires - my.life / 2);
    // Out of the browser's memory a page knows only what was.
    if (my.departing || (type === "pageshow" ? persisted : due)) tick();
  }
  for (const [target, name] of [[world.document, "visibilitychange"], [world, "online"], [world, "pageshow"]]) {
    target?.addEventListener?.(name, wake, { signal: gone.signal });
  }

  /** @returns {Promise<unknown>} */
  function boot() {
    const path = mark();
    if (!path && options.boot !== false) return renew();
    leave();
    if (path) my.departing = { path, body: {}, headers: {}, session: null };
    return depart();
  }

  return {
    call,
    prepare,
    recover,
    signOut,
    fetch: fetching(fetch, prepare, recover),
    refresh: renew,
    baseURL: base,
    signIn: (credentials) => step("/login", credentials, mode && { "X-Auth-Mode": mode }),
    verifyCode: (code, method) => step("/login/2fa", { code, method, ...my.waiting }),
    resendCode: () => call("POST", "/login/2fa/resend", my.waiting),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      gone.abort();
      world.clearTimeout(my.timer);
      close();
    },
    ready: boot().then(ignore, ignore).then(() => state),
    get state() { return state; },
    get user() { return state.user; },
    get session() { return state.session; },
    get status() { return state.status; },
  };
};
