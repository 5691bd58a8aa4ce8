// A server of logins, browsers and their tabs, all in this process and on a clock that only tests move: what a client
// meets in a day, in milliseconds, and the same each time.
import { createAuth } from "../../../src/watchword/browser/client.js";

export const BASE = "https://app.example.com/auth";
export const ADA = { email: "ada@example.com", password: "right" };
export const EVE = { email: "eve@example.com", password: "right" };

// Lets everything happen that needs no time to pass.
export async function settle() {
  for (let turn = 0; turn < 30; turn += 1) await new Promise(setImmediate);
}

export class Clock {
  seconds = 0;
  #timers = new Map();
  #last = 0;

  setTimeout = (work, milliseconds) => {
    this.#timers.set((this.#last += 1), { work, at: this.seconds + milliseconds / 1000 });
    return this.#last;
  };
  clearTimeout = (timer) => this.#timers.delete(timer);

  get waiting() {
    return [...this.#timers.values()].map(({ at }) => at - this.seconds).sort((one, other) => one - other);
  }

  async advance(seconds) {
    const end = this.seconds + seconds;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, one], [, other]) => one.at - other.at);
      if (!due.length) break;
      const [timer, { work, at }] = due[0];
      this.#timers.delete(timer);
      this.seconds = Math.max(this.seconds, at);
      work();
      await settle();
    }
    this.seconds = end;
  }

  // As much time as it takes until something has come of `work`, a day at most.
  async until(work) {
    let over = false;
    work.then(() => { over = true; }, () => { over = true; });
    for (const end = this.seconds + 86_400; !over && this.seconds < end; ) await this.advance(0.1);
    if (!over) throw new Error("nothing came of it in a day");
    return work;
  }

  // The machine slept: nothing ran, and what was due is late.
  async sleep(seconds) {
    this.seconds += seconds;
    await this.advance(0);
  }
}

export const problem = (status, code, headers = {}) =>
  new Response(JSON.stringify({ status, code, detail: code }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
const json = (body, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

// As much of the contract as a client can see. `next` puts an answer, or what makes one, in front of the next call.
export class Server {
  calls = [];
  #next = new Map();
  #sessions = new Map();
  #made = 0;

  constructor(clock, settings = {}) {
    this.clock = clock;
    Object.assign(this, { mode: "cookies", life: 900, timeout: 8, csrf: false, camel: false, field: "access_token" }, settings);
  }

  next(call, ...answers) {
    this.#next.set(call, [...(this.#next.get(call) ?? []), ...answers]);
  }

  // What was put in front is forgotten.
  recover(call) {
    this.#next.delete(call);
  }

  count(call) {
    return this.calls.filter((each) => each.call === call).length;
  }

  endAll() {
    for (const session of this.#sessions.values()) session.live = false;
  }

  // One request of a browser. What it sets lands in the jar only if the answer does.
  async answer(request, jar) {
    const path = new URL(request.url).pathname;
    const call = `${request.method} ${path}`;
    const body = JSON.parse((await request.text()) || "null");
    const headers = Object.fromEntries(request.headers);
    this.calls.push({ call, body, headers, url: request.url, at: this.clock.seconds, credentials: request.credentials });
    const scripted = this.#next.get(call)?.shift();
    const usual = () => this.#usual(call, body, headers, jar);
    if (scripted) return typeof scripted === "function" ? scripted(usual, request) : scripted;
    return usual();
  }

  #usual(call, body, headers, jar) {
    const proved = jar.has("csrf") && headers["x-csrf-token"] === jar.get("csrf");
    if (this.csrf && !call.startsWith("GET") && !proved) return problem(403, "csrf_rejected");
    const [, path] = call.split(" /auth");
    switch (path) {
      case "/csrf":
        jar.set("csrf", `proof ${(this.#made += 1)}`);
        return json({ [this.#key("csrf_token")]: jar.get("csrf") });
      case "/login":
        if (body.password !== "right") return problem(401, "invalid_credentials");
        if (body.email.startsWith("two")) return this.#ask(body);
        return this.#signIn(body.email, jar);
      case "/login/2fa": {
        const asked = this.#key("two_factor_token") in body || jar.has("two_factor_auth");
        if (!asked && this.mode !== "bearer") return problem(401, "challenge_expired");
        return body.code === "123456" ? this.#signIn("two@example.com", jar) : problem(401, "code_invalid");
      }
      case "/login/2fa/resend":
        return json({ [this.#key("expires_in")]: 600 }, 202);
      case "/refresh": {
        const session = this.#sessions.get(this.mode === "bearer" ? body?.[this.#key("refresh_token")] : jar.get("refresh"));
        return session?.live ? this.#grant(session, jar) : problem(401, session ? "session_ended" : "invalid_token");
      }
      case "/logout":
      case "/logout/all": {
        const session = this.#sessions.get(body?.[this.#key("refresh_token")] ?? jar.get("refresh"));
        if (path === "/logout/all") this.endAll();
        if (session) session.live = false;
        jar.clear();
        return json({ ok: true, message: "Logged out" });
      }
      case "/me":
      default: {
        const session = this.#authenticated(headers, jar);
        if (!session) return problem(401, "token_expired");
        return json(path === "/me" ? this.#who(session) : { email: session.email, body });
      }
    }
  }

  #ask(body) {
    const next = { step: "two_factor", methods: ["email"], [this.#key("expires_in")]: 600 };
    return json({ next, ...(this.mode === "bearer" && { [this.#key("two_factor_token")]: `two ${body.email}` }) });
  }

  #signIn(email, jar) {
    const old = this.#sessions.get(jar.get("refresh"));
    if (old) old.live = false;
    const sid = `sid ${(this.#made += 1)}`;
    const session = { sid, email, live: true };
    this.#sessions.set(sid, session);
    jar.delete("csrf");
    return this.#grant(session, jar, this.#who(session));
  }

  #grant(session, jar, more = {}) {
    const until = this.clock.seconds + this.life;
    const access = `${session.sid}/${until}`;
    const body = { [this.#key("expires_in")]: this.life, [this.#key("refresh_timeout")]: this.timeout };
    if (this.mode === "hybrid" || this.mode === "bearer") {
      Object.assign(body, { [this.#key(this.field)]: access, [this.#key("token_type")]: "Bearer" });
    } else jar.set("access", access);
    if (this.mode === "bearer") body[this.#key("refresh_token")] = session.sid;
    else jar.set("refresh", session.sid);
    return json({ ...body, ...more });
  }

  #who({ sid, email }) {
    return { user: { id: `id of ${email}`, email }, session: { id: sid } };
  }

  #authenticated(headers, jar) {
    const token = headers.authorization?.replace("Bearer ", "") ?? jar.get("access");
    const [sid, until] = token?.split("/") ?? [];
    const session = this.#sessions.get(sid);
    return session?.live && this.clock.seconds < Number(until) ? session : null;
  }

  #key(name) {
    return this.camel ? camel(name) : name;
  }
}

// Answers that do not come as they should. `lost`: the server has done it, and nobody hears of that.
export const lost = async (usual) => {
  await usual();
  throw new TypeError("connection reset");
};
export const offline = () => {
  throw new TypeError("Failed to fetch");
};
export const silent = async (usual, request) => {
  await usual();
  return new Promise((_, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason)));
};

export class Browser {
  jar = new Map();
  storage = new Map();
  channels = new Set();
  locks = new Locks();
  has = { BroadcastChannel: true, locks: true };

  constructor(server, clock, page = "https://app.example.com/page") {
    Object.assign(this, { server, clock, page });
  }

  // A tab in which a page has made itself a client.
  open(options = {}) {
    const browser = this;
    const mine = {};
    const locks = { request: (...words) => this.locks.request(...words, mine) };
    const document = Object.assign(new EventTarget(), { baseURI: this.page, visibilityState: "visible" });
    const world = Object.assign(new EventTarget(), {
      document,
      location: new URL(document.baseURI),
      performance: { now: () => this.clock.seconds * 1000 },
      setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout,
      navigator: { onLine: true, locks: this.has.locks ? locks : undefined },
      localStorage: {
        getItem: (key) => this.storage.get(key) ?? null,
        setItem: (key, value) => void this.storage.set(key, String(value)),
        removeItem: (key) => void this.storage.delete(key),
      },
      BroadcastChannel: this.has.BroadcastChannel
        ? class extends Channel {
            constructor(name) {
              super(name, browser.channels);
            }
          }
        : undefined,
      fetch: async (input, init) => {
        const request = new Request(input instanceof Request ? input : new URL(input, document.baseURI), { ...init, ...(init?.body && { duplex: "half" }) });
        return this.server.answer(request, this.jar);
      },
    });
    const auth = createAuth({ baseURL: "/auth", ...options }, world);
    const kill = () => {
      auth.close();
      Object.assign(world, { setTimeout() {}, fetch: () => new Promise(() => {}) });
      this.locks.drop(mine);
    };
    const seen = [];
    auth.onChange(({ status, user }) => seen.push(user ? `${status} ${user.email}` : status));
    const fire = (target, type, more) => target.dispatchEvent(Object.assign(new Event(type), more));
    return {
      auth,
      world,
      seen,
      kill,
      show(visible) {
        document.visibilityState = visible ? "visible" : "hidden";
        fire(document, "visibilitychange");
      },
      online: () => fire(world, "online"),
      pageshow: (persisted) => fire(world, "pageshow", { persisted }),
    };
  }
}

class Channel {
  onmessage = null;

  constructor(name, all) {
    Object.assign(this, { name, all });
    all.add(this);
  }

  postMessage(data) {
    for (const other of this.all) {
      const copy = structuredClone(data);
      if (other !== this && other.name === this.name) setImmediate(() => this.all.has(other) && other.onmessage?.({ data: copy }));
    }
  }

  close() {
    this.all.delete(this);
  }
}

class Locks {
  #queue = Promise.resolve();
  #held = null;

  request(name, { signal }, work, owner) {
    const turn = this.#queue;
    let release;
    this.#queue = new Promise((resolve) => (release = resolve));
    const given = new Promise((resolve, reject) => {
      turn.then(resolve);
      signal?.addEventListener("abort", () => {
        reject(signal.reason);
        turn.then(release);
      });
    });
    return given.then(() => {
      this.#held = { owner, release };
      return Promise.resolve(work()).finally(release);
    });
  }

  // A tab is no more: what it held, others get.
  drop(owner) {
    if (this.#held?.owner === owner) this.#held.release();
  }

  // A tab stands still with the lock.
  freeze() {
    this.request("", {}, () => new Promise(() => {})).catch(() => null);
  }
}

export function house(settings) {
  const clock = new Clock();
  const server = new Server(clock, settings);
  return { clock, server, browser: new Browser(server, clock) };
}
