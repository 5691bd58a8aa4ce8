// The story of tests/scenarios, told by fetch: wrong, signed in, renewed unnoticed, two tabs, loaded again, signed out,
// copies dead. Of each house that it is given; they are told side by side, as most of each is waiting.
import assert from "node:assert/strict";
import { text } from "node:stream/consumers";

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// What a browser does with cookies, as far as ours go: Max-Age, Path, and one of a name for each path.
class Jar {
  #kept = new Map();

  take(answer) {
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split("; ");
      const [name, value] = pair.split(/=(.*)/s);
      const { Path: path, "Max-Age": life } = Object.fromEntries(attributes.map((attribute) => attribute.split("=")));
      this.#kept.set(`${name} ${path}`, { name, value, path, until: Date.now() + life * 1000 });
    }
  }

  // Of this path, or all of them.
  held(wanted) {
    const sent = ({ path, until }) =>
      until > Date.now() && (!wanted || path === "/" || `${wanted}/`.startsWith(`${path}/`));
    return [...this.#kept.values()].filter(sent);
  }

  header(path) {
    return this.held(path).map(({ name, value }) => `${name}=${value}`).join("; ");
  }

  copy() {
    const copy = new Jar();
    copy.#kept = new Map(this.#kept);
    return copy;
  }
}

// One tab: the jar is the browser's, what is in memory its own.
class Tab {
  renewals = 0;
  set = 0; // times that an answer other than of /refresh has set a cookie: the guard renews by itself

  constructor(house, jar, memory = {}) {
    Object.assign(this, { house, jar, memory });
  }

  async send(method, path, body) {
    const url = new URL(`/auth${path}`, this.house.url);
    const headers = { Origin: this.house.url, Cookie: this.jar.header(url.pathname) };
    if (this.memory.access_token) headers.Authorization = `Bearer ${this.memory.access_token}`;
    if (body) headers["Content-Type"] = "application/json";
    if (this.house.csrf && method !== "GET") {
      headers["X-CSRF-Token"] = (await (await this.send("GET", "/csrf")).json()).csrf_token;
      headers.Cookie = this.jar.header(url.pathname);
    }
    const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    this.jar.take(answer);
    if (method === "GET" && answer.headers.getSetCookie().length) this.set += 1;
    return answer;
  }

  mine() {
    return this.memory.refresh_token && { refresh_token: this.memory.refresh_token };
  }

  async signIn(password) {
    const { email } = this.house;
    const answer = await this.send("POST", "/login", { email, password });
    if (answer.ok) this.memory = await answer.json();
    return answer.status;
  }

  async renew() {
    const answer = await this.send("POST", "/refresh", this.mine());
    if (!answer.ok) return false;
    Object.assign(this.memory, await answer.json());
    this.renewals += 1;
    return true;
  }

  // Who is signed in, as an app asks for it; null for nobody.
  async who() {
    let answer = await this.send("GET", "/me");
    if (answer.status === 401 && await this.renew()) answer = await this.send("GET", "/me");
    return answer.ok ? (await answer.json()).user.email : null;
  }
}

async function tell(house) {
  const { mode, email, password } = house;
  const jar = new Jar();
  let tab = new Tab(house, jar);
  assert.equal(await tab.who(), null);
  assert.equal(await tab.signIn("not the password"), 401);
  assert.equal(await tab.signIn(password), 200);
  assert.equal(Boolean(tab.memory.access_token), mode === "hybrid" || mode === "bearer");
  assert.equal(Boolean(tab.memory.refresh_token), mode === "bearer");

  for (const end = Date.now() + house.seconds * 1000; Date.now() < end; await pause(0.3)) {
    assert.equal(await tab.who(), email);
  }
  const { renewals, set } = tab;
  // Of the guard's own renewals no client knows; in mode session the row's life goes on, and no cookie has to say so.
  const told = `${renewals} renewals, ${set} by the guard`;
  if (mode === "jwt_cookie") assert.ok(renewals === 0 && set >= 2, told);
  else if (mode === "session") assert.ok(renewals === 0 && set === 0, told);
  else assert.ok(renewals >= 2, told);

  tab = new Tab(house, jar); // loaded again
  if (mode === "bearer") { // its tokens were in memory, and are gone with it
    assert.equal(await tab.who(), null);
    assert.equal(await tab.signIn(password), 200);
  }
  assert.equal(await tab.who(), email);
  const other = new Tab(house, jar, { ...tab.memory });
  assert.deepEqual(await Promise.all([tab.renew(), other.renew()]), [true, true]);
  assert.deepEqual([await tab.who(), await other.who()], [email, email]);

  const thief = new Tab(house, jar.copy(), { ...tab.memory });
  assert.equal((await thief.send("GET", "/me")).status, 200);
  assert.equal((await tab.send("POST", "/logout", tab.mine())).status, 200);
  assert.deepEqual(jar.held(), []);
  assert.equal(await other.who(), null);
  assert.equal((await thief.send("GET", "/me")).status, 401);
  assert.equal((await thief.send("POST", "/refresh", thief.mine())).status, 401);
  return { renewals, set };
}

const houses = JSON.parse(await text(process.stdin));
const told = await Promise.allSettled(houses.map(tell));
console.log(JSON.stringify(told.map(({ value, reason }) => value ?? { fault: String(reason?.stack) })));
