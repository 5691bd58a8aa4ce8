// How the client speaks with others: the server, the app's requests, other tabs.

/** @import { Inside } from "./types.js" */

/** A refusal (RFC 9457), or `unreachable`, of status 0. */
export class AuthError extends Error {
  constructor({ status = 0, body, retryAfter, cause } = /** @type {Inside["refusal"]} */ ({})) {
    super(body?.detail ?? "The server does not answer.", { cause });
    this.name = "AuthError";
    this.status = status;
    this.code = body?.code ?? "unreachable";
    this.errors = body?.errors ?? [];
    this.retryAfter = retryAfter;
  }
}

export const folder = /^(https?:(?!.*node_modules).*)\/wire\.js$/.exec(import.meta.url)?.[1] ?? "/auth";

/** @type {Inside["read"]} */
export const read = (body, name) => body?.[name] ?? body?.[name.replace(/_./g, (it) => it[1].toUpperCase())];
/** @type {Inside["unsafe"]} */
export const unsafe = (method) => !/^(GET|HEAD|OPTIONS)$/i.test(method);

/** @type {Inside["within"]} */
async function within(world, seconds, work) {
  const control = new AbortController();
  const timer = world.setTimeout(() => control.abort(), seconds * 1000);
  return work(control.signal).finally(() => world.clearTimeout(timer));
}

/** @type {Inside["parsed"]} */
const parsed = async (answer) => (answer.headers.get("content-type")?.includes("json") ? answer.json() : null);

/** @type {Inside["calls"]} */
export function calls(base, world, fetch, my) {
  const headers = (/** @type {string} */ method) => ({
    ...(my.token && { Authorization: `Bearer ${my.token}` }),
    ...(my.proof && unsafe(method) && { "X-CSRF-Token": my.proof }),
  });

  /** @type {Inside["ask"]} */
  const ask = (method, path, { body, headers, seconds = 30, send = fetch, ...rest } = {}) =>
    within(world, seconds, async (signal) => {
      const answer = await send(base + path, {
        ...rest,
        method,
        signal,
        credentials: "include",
        headers: { ...(body && { "Content-Type": "application/json" }), ...headers },
        body: body && JSON.stringify(body),
      });
      const { ok, status } = answer;
      const told = await parsed(answer);
      return { ok: ok && Boolean(told), status, body: told, retryAfter: Number(answer.headers.get("retry-after")) || undefined };
    }).catch((cause) => {
      throw cause instanceof AuthError ? cause : new AuthError({ cause });
    });

  async function prove() {
    const answer = await ask("GET", "/csrf");
    my.proof = read(answer.body, "csrf_token");
    if (!my.proof) throw new AuthError(answer);
  }

  return {
    ask,
    headers,
    prove,
    async exchange(method, path, more) {
      const once = () => ask(method, path, { ...more, headers: headers(method) });
      const answer = await once();
      return answer.body?.code === "csrf_rejected" ? prove().then(once) : answer;
    },
  };
}

/** @type {Inside["fetching"]} */
export const fetching = (fetch, prepare, recover) => async (input, init = {}) => {
  const request = input instanceof Request ? input : null;
  const { signal = request?.signal, method = request?.method } = init;
  const body = /** @type {any} */ (init.body);
  for (let ticket; ; ) {
    ticket = await until(signal, prepare(request?.url ?? String(input), method, ticket));
    if (!ticket) return fetch(input, init);
    const headers = new Headers(ticket.headers);
    new Headers(init.headers ?? request?.headers).forEach((value, name) => headers.set(name, value));
    const credentials = init.credentials ?? (ticket.include ? "include" : request?.credentials);
    const answer = await fetch(request?.clone() ?? ticket.url, { ...init, headers, credentials });
    if (answer.ok || body?.getReader || body?.[Symbol.asyncIterator]) return answer;
    const told = await parsed(answer.clone()).catch(() => null);
    if (!(await until(signal, recover(ticket, answer.status, told?.code)))) return answer;
  }
};

/** @type {Inside["until"]} */
function until(signal, work) {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** @type {Inside["alone"]} */
export async function alone(name, seconds, world, work) {
  let begun = /** @type {any} */ (null);
  const begin = () => (begun ??= work());
  const locks = world.navigator?.locks;
  return locks ? within(world, seconds, (signal) => locks.request(name, { signal }, begin)).catch(begin) : begin();
}

/** @type {Inside["wellFormed"]} */
export const wellFormed = ({ kind, token, life, timeout, user, session }) =>
  kind === "signed-out"
    ? session === null || typeof session === "string"
    : kind === "signed-in" &&
      (token === null || typeof token === "string") &&
      [life, timeout].every((span) => span > 0 && Number.isFinite(span)) &&
      [user, session].every((row) => typeof row?.id === "string");
