// Who is signed in, and what changes that. types.js tells of each function.

/** @import { Auth, CreateAuth, Inside } from "./types.js" */

import { alone, AuthError, calls, fetching, folder, read, unsafe, wellFormed } from "./wire.js";

export { AuthError };

const TRIES = 4;
const PATIENCE = 5;
const OTHER = /^(invalid_credentials|code_invalid|challenge_expired|reauthentication_required)$/;
const ignore = () => {};

/** @type {CreateAuth} */
export const createAuth = (options = {}, world = globalThis) => {
  const { mode, fetch = (...words) => world.fetch(...words) } = options;
  const page = world.document?.baseURI ?? world.location?.href ?? options.baseURL;
  const base = new URL(options.baseURL ?? folder, page).href.replace(/\/*$/, "");
  const home = new URL(base).origin;
  const origins = [home, new URL(page).origin, ...(options.origins ?? [])];
  const renewsItself = mode === "session" || mode === "jwt_cookie";
  const now = () => world.performance.now() / 1000;
  /** @type {Inside["pause"]} */
  const pause = (seconds) => new Promise((resolve) => void world.setTimeout(resolve, seconds * 1000));
  const name = `watchword ${base}`;
  const channel = world.BroadcastChannel && new world.BroadcastChannel(name);
  const gone = new AbortController();
  /** @type {Inside["my"]} */
  const my = {
    ...{ token: null, life: 0, expires: 0, timeout: 8, taken: 0, epoch: 0, failures: 0, blocked: 0, leaving: 0 },
    listeners: new Set(),
  };
  const { ask, exchange, headers, prove } = calls(base, world, fetch, my);
  /** @type {Inside["state"]} */
  let state = { status: "pending", user: null, session: null, error: null };
  const signedIn = () => state.status === "signed-in";
  const over = (early = 0) => signedIn() && !renewsItself && now() >= my.expires - early;

  /** @type {Inside["become"]} */
  function become(change) {
    const next = { ...state, ...change };
    if (JSON.stringify(next.user) === JSON.stringify(state.user)) next.user = state.user;
    if (next.error === state.error && JSON.stringify(next) === JSON.stringify(state)) return;
    state = next;
    for (const listener of my.listeners) void new Promise(() => listener(state)); // what one throws is reported only
  }

  /** @type {Inside["arm"]} */
  function arm(seconds = Math.min(2 ** (my.failures += 1), 60) * (0.5 + Math.random() / 2)) {
    world.clearTimeout(my.timer);
    if (gone.signal.aborted) return;
    my.timer = world.setTimeout(tick, Math.min(Math.max(seconds, 0.5), 86_400) * 1000);
    my.timer.unref?.();
  }
  const tick = () => (my.departing ? depart() : renew().catch(ignore));

  /** @type {Inside["hold"]} */
  function hold({ token, life, timeout }, at) {
    Object.assign(my, { token, life, timeout, expires: at + life, failures: 0, blocked: 0 });
    my.taken += 1;
    if (renewsItself) world.clearTimeout(my.timer);
    else arm(life * (0.75 + Math.random() / 10));
  }

  /** @type {Inside["take"]} */
  function take(body, at) {
    const rest = { ...body };
    const typed = read(body, "token_type");
    let token = null;
    for (const [key, value] of Object.entries(rest)) {
      if (/^two_?factor_?token$/i.test(key)) my.waiting = { [key]: value };
      else if (/^refresh_?token$/i.test(key)) my.kept = { [key]: value };
      else if (typed && typeof value === "string") token = value === typed ? token : value;
      else continue;
      delete rest[key];
    }
    const timeout = read(body, "refresh_timeout");
    if (timeout) hold({ token, life: read(body, "expires_in"), timeout }, at);
    return rest;
  }

  /** @type {Inside["enter"]} */
  function enter({ user, session }) {
    if (session.id !== state.session?.id) turn();
    departed();
    become({ status: "signed-in", user, session, error: null });
  }

  function leave() {
    turn();
    Object.assign(my, { token: null, kept: undefined, failures: 0 });
    world.clearTimeout(my.timer);
    become({ status: "signed-out", user: null, session: null, error: null });
  }

  function turn() {
    my.epoch += 1;
    my.waiting = undefined;
    my.proof &&= "";
  }

  /** @type {Inside["greet"]} */
  async function greet(body) {
    const { epoch, token } = my;
    if (!body?.session) {
      my.greeting = exchange("GET", "/me", { seconds: my.timeout });
      my.token = null; // no request goes with it before it is known whose it is
      const me = await my.greeting;
      if (!me.ok) throw new AuthError(me);
      body = me.body;
    }
    if (my.epoch !== epoch) return;
    my.token ??= token;
    enter(body);
    const { timeout, expires, kept } = my;
    if (!kept) channel?.postMessage({ ...body, kind: "signed-in", token: my.token, life: expires - now(), timeout });
  }

  /** @type {Inside["hear"]} */
  function hear({ data }) {
    if (my.kept || mode === "bearer" || !wellFormed(data ?? {})) return;
    const id = state.session?.id;
    if (data.kind === "signed-out") {
      if (!id || !data.session || data.session === id) leave();
    } else if (data.session.id !== my.departing?.session && (data.session.id !== id || now() + data.life > my.expires)) {
      hold(data, now());
      enter(data);
    }
  }
  if (channel) channel.onmessage = hear;
  channel?.unref?.();

  async function attempt() {
    const { epoch, kept, timeout } = my;
    if (mode === "bearer" && !kept) return leave();
    const at = now();
    const answer = await exchange("POST", "/refresh", { body: kept, seconds: timeout });
    if (my.epoch !== epoch) return;
    if (answer.status === 401 && answer.body?.code) return leave();
    if (!read(answer.body, "refresh_timeout")) throw new AuthError(answer);
    take(answer.body, at);
    await greet();
  }

  const renew = () => (my.renewing ??= run().finally(() => { my.renewing = null; }));

  async function run() {
    if (my.departing) return false;
    if (my.blocked > now() && state.error) {
      arm(my.blocked - now());
      throw state.error;
    }
    let { taken, epoch } = my;
    const asked = now();
    return locked(async () => {
      if (now() - asked > 0.02) await pause(0.05);
      for (let tries = 1; my.taken === taken && my.epoch === epoch; tries += 1) {
        try {
          await attempt();
        } catch (error) {
          if (!(error instanceof AuthError)) throw error;
          const wait = patience(error, tries);
          taken = my.taken;
          if (wait > PATIENCE || tries === TRIES || my.leaving) {
            my.blocked = now() + (error.retryAfter ?? 0);
            arm(error.retryAfter);
            become({ error });
            throw error;
          }
          await pause(wait);
        }
      }
      return signedIn();
    });
  }

  /** @type {Inside["patience"]} */
  function patience({ status, code, retryAfter }, tries) {
    if ([409, 429, 503].includes(status)) return retryAfter ?? 1;
    if (status === 401 && code !== "unreachable") return 0;
    return status || world.navigator?.onLine === false ? Infinity : 0.1 * 2 ** tries;
  }

  async function settled() {
    my.leaving += 1;
    await my.renewing?.catch(ignore);
    await my.parting;
    my.leaving -= 1;
  }

  /** @type {Auth["call"]} */
  async function call(method, path, body, headers) {
    if (unsafe(method)) await settled();
    const { epoch } = my;
    const at = now();
    const answer = await ask(method, path, { body, headers, send: unsafe(method) ? signedAlone : signed });
    if (!answer.ok) throw new AuthError(answer);
    const grant = read(answer.body, "refresh_timeout");
    if (grant && my.epoch !== epoch && !signedIn()) throw new AuthError(); // a sign-out is the later word
    const rest = take(answer.body, at);
    if (grant) await greet(rest).catch(ignore);
    return rest;
  }

  /** @type {Inside["step"]} */
  const step = async (path, body, headers) => {
    if (my.departing) await depart();
    if (my.departing) throw new AuthError();
    return { next: null, ...(await call("POST", path, body, headers)) };
  };

  /** @type {Inside["stored"]} */
  function stored(work) {
    try {
      return world.document && work(world.localStorage);
    } catch {}
  }
  function departed() {
    my.departing = null;
    stored((store) => store.removeItem(name));
  }

  /** @type {Inside["depart"]} */
  function depart() {
    return (my.parting ??= locked(async () => {
      const { path, body } = my.departing ?? {};
      const last = { body, seconds: my.timeout, keepalive: true };
      if (!path) return true;
      const { ok, status, body: told, retryAfter } = await exchange("POST", path, last).catch((error) => error);
      if (ok || (told?.code && status < 500 && status !== 429)) departed();
      else if (my.departing) arm(retryAfter);
      return !!ok;
    }).finally(() => { my.parting = null; }));
  }

  /** @type {Auth["signOut"]} */
  async function signOut({ everywhere = false } = {}) {
    await settled();
    const session = state.session?.id ?? null;
    const path = everywhere ? "/logout/all" : "/logout";
    my.departing = { path, session, body: { ...my.kept, ...my.waiting } };
    if (!my.kept) {
      stored((store) => store.setItem(name, path));
      channel?.postMessage({ kind: "signed-out", session });
    }
    leave();
    return depart();
  }

  /** @type {Inside["same"]} */
  const same = (user) => [null, state.user?.id].includes(user);

  /** @type {Auth["prepare"]} */
  async function prepare(url, method = "GET", earlier) {
    const { href, origin } = new URL(url, page);
    if (!origins.includes(origin)) return null;
    const user = earlier ? earlier.user : state.user?.id ?? null;
    if (over()) await renew().catch(ignore);
    else if (state.status === "pending") await my.renewing?.catch(ignore);
    await my.greeting?.catch(ignore);
    const include = origin === home;
    if (my.proof === "" && include && unsafe(method)) await prove().catch(ignore);
    if (signedIn() && !same(user)) throw new AuthError();
    const { taken } = my;
    return { headers: headers(include ? method : "GET"), include, url: href, user, taken, tried: earlier?.tried ?? [] };
  }

  /** @type {Auth["recover"]} */
  async function recover(ticket, status, code = "") {
    if (!ticket || ticket.tried.includes(status)) return false;
    ticket.tried.push(status);
    if (code === "csrf_rejected" && ticket.include) return prove().then(() => same(ticket.user), () => false);
    if (status !== 401 || OTHER.test(code) || state.status === "signed-out") return false;
    if (ticket.taken === my.taken) await renew();
    return signedIn() && same(ticket.user);
  }

  /** @type {Inside["locked"]} */
  const locked = (work) => alone(name, my.timeout, world, work);
  const signed = fetching(fetch, prepare, recover);
  const signedAlone = fetching((...words) => locked(() => fetch(...words)), prepare, recover);

  /** @type {Inside["wake"]} */
  function wake({ type, persisted }) {
    if (world.document?.visibilityState === "hidden") return;
    if (my.departing || (type === "pageshow" ? persisted : state.error || over(my.life / 2))) tick();
  }
  for (const [target, event] of [[world.document, "visibilitychange"], [world, "online"], [world, "pageshow"]]) {
    target?.addEventListener?.(event, wake, { signal: gone.signal });
  }

  function boot() {
    const path = stored((store) => store.getItem(name));
    if (!path && options.boot !== false) return renew();
    leave();
    if (path) my.departing = { path, body: {}, session: null };
    return depart();
  }

  return {
    call,
    prepare,
    recover,
    signOut,
    fetch: signed,
    refresh: renew,
    baseURL: base,
    signIn: (credentials) => step("/login", credentials, mode && { "X-Auth-Mode": mode }),
    verifyCode: (code, method) => step("/login/2fa", { code, method, ...my.waiting }),
    resendCode: () => call("POST", "/login/2fa/resend", my.waiting),
    onChange(listener) {
      my.listeners.add(listener);
      return () => void my.listeners.delete(listener);
    },
    close() {
      gone.abort();
      world.clearTimeout(my.timer);
      channel?.close();
    },
    ready: boot().then(ignore, ignore).then(() => state),
    get state() { return state; },
    get user() { return state.user; },
    get session() { return state.session; },
    get status() { return state.status; },
  };
};
