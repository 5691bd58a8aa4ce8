// What the client has to do with others: calls of a server, the app's own requests, the other tabs. What an answer or a
// message means for who is signed in is not decided here.

/** @import { Answer, Calls, Fetching, Inside, Message, Tabs, Ticket } from "./types.js" */

/** A refusal in the server's words (RFC 9457), or `unreachable` with status 0 when no answer came. */
export class AuthError extends Error {
  constructor(/** @type {Partial<Answer>} */ { status = 0, body, retryAfter } = {}, /** @type {unknown} */ cause = undefined) {
    super(body?.detail ?? "The server cannot be reached or is busy.", { cause });
    this.name = "AuthError";
    this.status = status;
    this.code = /** @type {string} */ (body?.code ?? "unreachable");
    this.errors = /** @type {{ field: string, code: string, message: string }[]} */ (body?.errors ?? []);
    this.retryAfter = retryAfter; // seconds
  }
}

/** @type {Inside["deadline"]} */
function deadline(world, seconds) {
  const control = new AbortController();
  const timer = world.setTimeout(() => control.abort(), seconds * 1000);
  return { signal: control.signal, clear: () => world.clearTimeout(timer) };
}

// A field of an answer, whose keys may be in camel case.
/** @type {Inside["read"]} */
export const read = (body, name) => body?.[name] ?? body?.[name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())];
/** @type {Inside["unsafe"]} */
export const unsafe = (method) => !/^(GET|HEAD|OPTIONS)$/i.test(method);

// Where this file came from, if a server of logins served it: a copy from a package says nothing of that.
export function folder() {
  const from = import.meta.url;
  return /^https?:.*\/wire\.js$/.test(from) && !/node_modules/.test(from) ? from.replace(/wire\.js$/, "") : "/auth";
}

/** @type {Calls} */
export function calls(base, world, fetch, my) {
  /** @type {Inside["exchange"]} */
  async function once(method, path, { body, headers, seconds = 30, keepalive } = {}) {
    const { signal, clear } = deadline(world, seconds);
    try {
      const answer = await fetch(base + path, {
        method,
        signal,
        keepalive,
        credentials: "include",
        cache: "no-store",
        headers: { ...(body && { "Content-Type": "application/json" }), ...headers },
        body: body && JSON.stringify(body),
      });
      const { ok, status } = answer;
      const text = await answer.text();
      // Not of a proxy on the way. And a date is none of ours (RFC 9110 §10.2.3), as the local clock may be wrong.
      const json = isJson(answer) && JSON.parse(text);
      return { ok, status, body: json || null, retryAfter: Number(answer.headers.get("retry-after")) || undefined };
    } catch (cause) {
      throw new AuthError({}, cause);
    } finally {
      clear();
    }
  }

  async function prove() {
    const answer = await once("GET", "/csrf");
    my.proof = read(answer.body, "csrf_token");
    if (!my.proof) throw new AuthError(answer);
  }

  /** @type {Inside["headers"]} */
  async function headers(method) {
    if (unsafe(method) && my.proof === "") await prove();
    return {
      ...(my.token && { Authorization: `Bearer ${my.token}` }),
      ...(unsafe(method) && my.proof && { "X-CSRF-Token": my.proof }),
    };
  }

  return {
    headers,
    prove,
    async exchange(method, path, more) {
      const send = async () => once(method, path, { ...more, headers: { ...(await headers(method)), ...more?.headers } });
      const answer = await send();
      if (answer.body?.code !== "csrf_rejected") return answer;
      await prove();
      return send();
    },
  };
}

const isJson = (/** @type {Response} */ answer) => /json/.test(answer.headers.get("content-type") ?? "");

/** @type {Fetching} */
export const fetching = (fetch, prepare, recover) => async (input, init = {}) => {
  const request = input instanceof Request ? input : null;
  const { signal = request?.signal, method = request?.method } = init;
  const body = /** @type {any} */ (init.body);
  for (let ticket = /** @type {Ticket | null} */ (null); ; ) {
    ticket = await until(signal, prepare(request?.url ?? String(input), method, ticket));
    if (!ticket) return fetch(input, init);
    const headers = new Headers(init.headers ?? request?.headers);
    for (const [name, value] of Object.entries(ticket.headers)) if (!headers.has(name)) headers.set(name, value);
    const credentials = init.credentials ?? (ticket.include ? "include" : request?.credentials);
    const answer = await fetch(request?.clone() ?? ticket.url, { ...init, headers, credentials });
    if (answer.ok || body?.getReader || body?.[Symbol.asyncIterator]) return answer; // a stream is sent once
    const told = isJson(answer) && (await answer.clone().json().catch(() => null));
    if (!(await until(signal, recover(ticket, answer.status, told?.code)))) return answer;
    answer.body?.cancel();
  }
};

// `work`, or the reason for which a caller no longer waits for it.
/** @type {Inside["until"]} */
function until(signal, work) {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** @type {Tabs} */
export function tabs(name, world, hear) {
  const channel = world.BroadcastChannel && new world.BroadcastChannel(name);
  if (channel) {
    channel.onmessage = (/** @type {MessageEvent} */ { data }) => wellFormed(data) && hear(data);
    channel.unref?.(); // in Node it would keep the process alive
  }
  return {
    tell: (message) => channel?.postMessage(message),
    close: () => channel?.close(),
    // A tab may be frozen with the lock: who has waited for so long goes ahead, as the server copes with both.
    async alone(seconds, work) {
      const { signal, clear } = deadline(world, seconds);
      let result = /** @type {ReturnType<typeof work> | undefined} */ (undefined);
      const begin = () => {
        clear();
        return (result ??= work());
      };
      const { locks } = world.navigator ?? {};
      return locks ? locks.request(name, { signal }, begin).catch(begin) : begin();
    },
  };
}

// Any script of this origin can send on a channel (ASVS 5.0 3.5.5).
/** @type {(data: any) => data is Message} */
function wellFormed(data) {
  const text = (/** @type {unknown} */ value) => value === null || typeof value === "string";
  if (data?.kind === "signed-out") return text(data.session);
  return (
    data?.kind === "signed-in" &&
    text(data.token) &&
    [data.life, data.timeout].every((span) => span > 0 && Number.isFinite(span)) &&
    [data.user, data.session].every((row) => typeof row?.id === "string")
  );
}
