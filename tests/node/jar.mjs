// What a page in a browser has and Node has not: a jar of cookies, and a fetch that follows the rules of origins and
// sites. As much of RFC 6265bis and of Fetch as a login touches, so that clients written for browsers run as they are.
import { setTimeout as sleep } from "node:timers/promises";

// The registrable domain is the last two labels for every name that tests use.
const siteOf = (url) => `${url.protocol}//${url.hostname.split(".").slice(-2).join(".")}`;
const within = (path, scope) => path === scope || path.startsWith(scope.endsWith("/") ? scope : `${scope}/`);

export class Jar {
  #cookies = new Map(); // two of one name may stand side by side, under other paths or domains

  get names() {
    return [...new Set(this.#living().map(({ name }) => name))].sort();
  }

  copy() {
    const other = new Jar();
    for (const [key, cookie] of this.#cookies) other.#cookies.set(key, { ...cookie });
    return other;
  }

  // Takes a Set-Cookie line of an answer from `url`; `sameSite` says whether the page is of that site.
  take(line, url, sameSite) {
    const [pair, ...rest] = line.split(";").map((part) => part.trim());
    const [name, value] = splitOnce(pair);
    const attributes = new Map(rest.map(splitOnce).map(([key, text]) => [key.toLowerCase(), text]));
    const domain = (attributes.get("domain") ?? "").replace(/^\./, "").toLowerCase();
    const cookie = {
      name,
      value,
      host: domain || url.hostname,
      subdomains: domain !== "",
      path: attributes.get("path") || url.pathname.replace(/\/[^/]*$/, "") || "/", // W10 lives in this default
      secure: attributes.has("secure"),
      sameSite: (attributes.get("samesite") ?? "lax").toLowerCase(),
      until: attributes.has("max-age") ? Date.now() + Number(attributes.get("max-age")) * 1000 : Infinity,
    };
    const foreign = domain && !`.${url.hostname}`.endsWith(`.${domain}`);
    const insecure = cookie.secure ? url.protocol !== "https:" : cookie.sameSite === "none";
    if (foreign || insecure || (!sameSite && cookie.sameSite !== "none")) return;
    this.#cookies.set([name, cookie.host, cookie.path].join("\n"), cookie);
  }

  // The Cookie header for a request to `url`, longest path first; empty for none.
  header(url, sameSite) {
    return this.#living()
      .filter(({ host, subdomains }) => url.hostname === host || (subdomains && url.hostname.endsWith(`.${host}`)))
      .filter(({ path, secure }) => within(url.pathname, path) && (!secure || url.protocol === "https:"))
      .filter((cookie) => sameSite || cookie.sameSite === "none")
      .sort((one, other) => other.path.length - one.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join("; ");
  }

  #living() {
    return [...this.#cookies.values()].filter(({ until }) => until > Date.now());
  }
}

// A page of `origin`. `calls` are the requests that its scripts have made, `pending` those without an answer so far,
// `most` how many of a kind there were of these at once. Those of the kind `last` leave when all others are answered.
export class Page {
  calls = [];
  pending = 0;
  most = new Map();
  last = null;
  #open = new Map();

  constructor(origin, jar) {
    this.origin = origin;
    this.jar = jar;
  }

  fetch = async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const call = `${request.method} ${url.pathname}`;
    this.calls.push(call);
    this.pending += 1;
    this.#open.set(call, (this.#open.get(call) ?? 0) + 1);
    this.most.set(call, Math.max(this.most.get(call) ?? 0, this.#open.get(call)));
    try {
      while (call === this.last && this.pending > this.#open.get(call)) await sleep(5);
      return await this.#exchange(request, url);
    } finally {
      this.pending -= 1;
      this.#open.set(call, this.#open.get(call) - 1);
    }
  };

  async #exchange(request, url) {
    const ours = url.origin === this.origin;
    const sameSite = siteOf(url) === siteOf(new URL(this.origin));
    const withCookies = request.credentials === "include" || (ours && request.credentials === "same-origin");
    if (!ours) await this.#ask(request, withCookies);
    const headers = new Headers(request.headers);
    headers.set("sec-fetch-site", ours ? "same-origin" : sameSite ? "same-site" : "cross-site");
    if (!ours || !["GET", "HEAD"].includes(request.method)) headers.set("origin", this.origin);
    const cookies = withCookies ? this.jar.header(url, sameSite) : "";
    if (cookies) headers.set("cookie", cookies);
    const body = (await request.text()) || undefined;
    const answer = await fetch(url, { method: request.method, headers, body, signal: request.signal });
    if (withCookies) for (const line of answer.headers.getSetCookie()) this.jar.take(line, url, sameSite);
    if (!ours) this.#check(answer, withCookies);
    return answer;
  }

  // The preflight; asked anew each time, as the first time is the one that matters.
  async #ask(request, withCookies) {
    const simple = ["GET", "HEAD", "POST"].includes(request.method);
    const asked = [...request.headers].filter(([name, value]) => !isSimple(name, value)).map(([name]) => name);
    if (!asked.length && simple) return;
    const answer = await fetch(request.url, {
      method: "OPTIONS",
      headers: {
        origin: this.origin,
        "access-control-request-method": request.method,
        ...(asked.length && { "access-control-request-headers": asked.join(",") }),
      },
    });
    this.#check(answer, withCookies);
    const leave = (name) => (answer.headers.get(name) ?? "").toLowerCase().split(/\s*,\s*/);
    const names = leave("access-control-allow-headers");
    const refused = asked.filter((name) => !names.includes(name));
    const methods = leave("access-control-allow-methods");
    if (!simple && !methods.includes(request.method.toLowerCase())) refused.push(request.method);
    if (!answer.ok || refused.length) throw new TypeError(`Failed to fetch: no leave for ${refused.join(", ")}`);
  }

  #check(answer, withCookies) {
    const origin = answer.headers.get("access-control-allow-origin");
    const credentials = answer.headers.get("access-control-allow-credentials");
    if (origin === this.origin && (!withCookies || credentials === "true")) return;
    throw new TypeError(`Failed to fetch: ${answer.url} gives ${this.origin} no leave to read its answer`);
  }
}

// Whether a header needs no leave; the user agent is a browser's own, not what Node or a library adds under that name.
function isSimple(name, value) {
  const plain = /^(text\/plain|multipart\/form-data|application\/x-www-form-urlencoded)\b/;
  if (name === "content-type") return plain.test(value);
  return ["accept", "accept-language", "content-language", "user-agent"].includes(name);
}

function splitOnce(text) {
  const [name, ...rest] = text.split("=");
  return [name, rest.join("=")];
}
