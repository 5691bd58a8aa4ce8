// When the client renews, and what it makes of every answer. Rows of the table in docs/guides/client.md name these tests.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { ADA, EVE, house, lost, offline, problem, settle, silent } from "./world.mjs";

const REFRESH = "POST /auth/refresh";

// Somebody signed in at second 0 whose tokens run out at 900; `refreshes()` counts what came after that.
async function signedIn(settings, options) {
  const home = house(settings);
  const tab = home.browser.open(options);
  await tab.auth.ready;
  await tab.auth.signIn(ADA);
  const before = home.server.count(REFRESH);
  return { ...home, ...tab, tab, refreshes: () => home.server.count(REFRESH) - before };
}

test("the timer renews at four fifths of the tokens' life, give or take a twentieth of it", async () => {
  const { clock, server, refreshes, auth } = await signedIn();
  await clock.advance(674);
  assert.equal(refreshes(), 0);
  await clock.advance(92);
  assert.equal(refreshes(), 1);
  await clock.advance(24 * 3600);
  assert.ok(refreshes() > 110, "and so on, for as long as the page is open");
  assert.equal((await auth.fetch("/profile")).status, 200);
  assert.equal(server.calls.filter(({ call }) => call === "GET /profile").length, 1);
});

test("a session that renews itself is left alone: an idle page keeps nobody signed in", async () => {
  for (const mode of ["session", "jwt_cookie"]) {
    const { clock, refreshes, auth } = await signedIn({ mode, life: 60 }, { mode });
    assert.deepEqual(clock.waiting, []);
    await clock.advance(3600);
    await auth.fetch("/profile").catch(() => null);
    assert.ok(refreshes() <= 1);
  }
});

test("many requests that meet a 401 share one refresh, and each is sent once more", async () => {
  const { server, refreshes, auth, browser } = await signedIn({ mode: "hybrid" });
  for (let index = 0; index < 5; index += 1) server.next("GET /profile", problem(401, "token_expired"));
  const answers = await Promise.all([1, 2, 3, 4, 5].map(() => auth.fetch("/profile")));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200, 200]);
  assert.deepEqual([refreshes(), server.count("GET /profile")], [1, 10]);
  assert.ok(browser.jar.has("refresh"));
});

test("a 401 that comes after another request's refresh is answered by that", async () => {
  const { server, refreshes, auth } = await signedIn();
  let late;
  server.next("GET /profile", () => new Promise((resolve) => { late = () => resolve(problem(401, "token_expired")); }));
  const answer = auth.fetch("/profile");
  await settle();
  await auth.refresh();
  late();
  assert.deepEqual([(await answer).status, refreshes()], [200, 1]);
});

test("a second 401 is the caller's, and there is no third request", async () => {
  const { server, refreshes, auth } = await signedIn();
  server.next("GET /profile", problem(401, "token_expired"), problem(401, "token_expired"));
  assert.deepEqual([(await auth.fetch("/profile")).status, refreshes(), server.count("GET /profile")], [401, 1, 2]);
});

test("a 401 of /refresh means signed out, and nobody who waits for it hangs or asks again (W1, attack 48)", { timeout: 5000 }, async () => {
  for (const code of ["session_ended", "invalid_token", "refresh_reused"]) {
    const { server, refreshes, auth, seen, clock } = await signedIn({ mode: "hybrid" });
    for (let index = 0; index < 3; index += 1) server.next("GET /profile", problem(401, "session_ended"));
    server.next(REFRESH, problem(401, code));
    const answers = await Promise.all([1, 2, 3].map(() => auth.fetch("/profile")));
    assert.deepEqual(answers.map(({ status }) => status), [401, 401, 401]);
    assert.deepEqual([auth.status, auth.user, refreshes()], ["signed-out", null, 1]);
    assert.equal(seen.at(-1), "signed-out");
    await clock.advance(10_000);
    assert.equal((await auth.fetch("/profile")).status, 401);
    assert.equal(refreshes(), 1, "nor does it ask again for somebody who is signed out");
  }
});

test("a 401 that is not about the token renews nothing", async () => {
  for (const code of ["reauthentication_required", "invalid_credentials", "code_invalid", "challenge_expired"]) {
    const { server, refreshes, auth } = await signedIn();
    server.next("POST /auth/reauthenticate", problem(401, code));
    await assert.rejects(auth.call("POST", "/reauthenticate", {}), { code });
    server.next("GET /profile", problem(401, code));
    assert.equal((await auth.fetch("/profile")).status, 401);
    assert.equal(refreshes(), 0);
  }
});

test("token_expired and session_ended are the same question: one refresh tells them apart", async () => {
  const { server, refreshes, auth } = await signedIn();
  server.next("GET /profile", problem(401, "token_expired"));
  assert.deepEqual([(await auth.fetch("/profile")).status, auth.status], [200, "signed-in"]);
  server.endAll();
  server.next("GET /profile", problem(401, "session_ended"));
  assert.deepEqual([(await auth.fetch("/profile")).status, auth.status, refreshes()], [401, "signed-out", 2]);
});

test("offline is no sign-out: requests reject, tries become rarer, and being online again ends the wait", async () => {
  const { clock, server, auth, tab, refreshes } = await signedIn();
  server.next(REFRESH, ...Array(200).fill(offline));
  tab.world.navigator.onLine = false;
  await clock.advance(901);
  assert.equal(auth.status, "signed-in");
  assert.equal(auth.state.error.code, "unreachable");
  server.next("GET /profile", problem(401, "token_expired"));
  await assert.rejects(auth.fetch("/profile"), { code: "unreachable", status: 0 });
  const before = refreshes();
  await clock.advance(3600);
  assert.ok(refreshes() - before >= 60 && refreshes() - before <= 125, `${refreshes() - before} tries in an hour`);
  assert.equal(auth.user.email, ADA.email);
  tab.world.navigator.onLine = true;
  server.recover(REFRESH);
  assert.equal(await clock.until(auth.refresh()), true);
  assert.equal(auth.state.error, null);
});

test("coming online renews at once what could not be renewed", async () => {
  const { clock, server, auth, tab, refreshes } = await signedIn();
  tab.world.navigator.onLine = false;
  server.next(REFRESH, ...Array(99).fill(offline));
  await clock.advance(1500);
  const before = refreshes();
  server.recover(REFRESH);
  tab.world.navigator.onLine = true;
  tab.online();
  await settle();
  assert.deepEqual([refreshes(), auth.state.error], [before + 1, null]);
});

test("a page that is opened offline is pending until somebody answers", async () => {
  const { browser, clock, server } = await signedIn();
  server.next(REFRESH, ...Array(8).fill(offline));
  const { auth, seen } = browser.open();
  await clock.advance(2);
  const { status, error } = await auth.ready;
  assert.deepEqual([status, error.code], ["pending", "unreachable"]);
  await clock.advance(30);
  assert.deepEqual([auth.status, auth.user.email], ["signed-in", ADA.email]);
  assert.deepEqual([...new Set(seen)], ["pending", `signed-in ${ADA.email}`]);
});

test("after sleep the first wake-up renews, if the clock went on", async () => {
  const { clock, tab, auth, refreshes } = await signedIn();
  tab.show(false);
  await clock.sleep(8 * 3600);
  assert.equal(refreshes(), 1, "the timer, which is late");
  await clock.advance(400);
  tab.show(true);
  await settle();
  assert.equal(refreshes(), 1, "young tokens are left alone");
  await clock.advance(100);
  tab.show(true);
  await settle();
  assert.equal(refreshes(), 2, "old ones are not");
  assert.equal(auth.status, "signed-in");
});

test("after sleep the first 401 renews, if the clock stood still", async () => {
  const { server, auth, refreshes } = await signedIn();
  server.next("GET /profile", problem(401, "token_expired")); // the server's hours went on
  assert.deepEqual([(await auth.fetch("/profile")).status, refreshes()], [200, 1]);
});

test("no local clock is asked what time it is: one that is years off changes nothing", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 0 });
  const { clock, refreshes, auth } = await signedIn();
  t.mock.timers.setTime(4e12);
  await clock.advance(600);
  t.mock.timers.setTime(0);
  assert.equal(refreshes(), 0);
  await clock.advance(166);
  assert.deepEqual([refreshes(), auth.status], [1, "signed-in"]);
});

test("tokens live from when they were asked for, not from when they came", async () => {
  const { clock, server, auth, refreshes } = await signedIn();
  let land;
  server.next(REFRESH, (usual) => new Promise((resolve) => { const made = usual(); land = () => resolve(made); }));
  const renewal = auth.refresh();
  await clock.advance(7);
  land();
  await renewal;
  const before = refreshes();
  await clock.advance(0.75 * 900 - 7 - 1);
  assert.equal(refreshes(), before);
  await clock.advance(0.1 * 900 + 9);
  assert.equal(refreshes(), before + 1);
});

test("a page that comes out of the browser's memory asks who is signed in", async () => {
  const { server, tab, auth, refreshes } = await signedIn();
  tab.pageshow(false);
  await settle();
  assert.equal(refreshes(), 0);
  server.endAll();
  tab.pageshow(true);
  await settle();
  assert.equal(auth.status, "signed-out");
});

test("a tab that is killed in mid-refresh loses nothing: the next page goes on from the jar", async () => {
  const { server, browser, auth, tab } = await signedIn();
  server.next(REFRESH, silent);
  auth.refresh().catch(() => null);
  await settle();
  tab.kill();
  const next = browser.open();
  assert.equal((await next.auth.ready).status, "signed-in");
});

test("409: it waits as long as the server says and asks again with what the jar holds, three times", async () => {
  const { clock, server, auth, refreshes } = await signedIn();
  const superseded = () => problem(409, "refresh_superseded", { "retry-after": "1" });
  server.next(REFRESH, superseded(), superseded(), superseded());
  const renewal = auth.refresh();
  await clock.advance(0.9);
  assert.equal(refreshes(), 1);
  await clock.advance(2.2);
  assert.deepEqual([await renewal, refreshes()], [true, 4]);
  server.next(REFRESH, superseded(), superseded(), superseded(), superseded());
  const failing = assert.rejects(auth.refresh(), { code: "refresh_superseded", status: 409 });
  await clock.advance(3.2);
  await failing;
  assert.deepEqual([auth.status, refreshes()], ["signed-in", 8]);
  await clock.advance(2);
  assert.equal(auth.state.error, null, "then as after a network error: later");
});

test("429 and 503: short waits are waited for, long ones told, and nobody asks before they are over", async () => {
  for (const [status, code] of [[429, "rate_limited"], [503, "overloaded"]]) {
    const { clock, server, auth, refreshes } = await signedIn();
    server.next(REFRESH, problem(status, code, { "retry-after": "2" }));
    const renewal = auth.refresh();
    await clock.advance(2.1);
    assert.deepEqual([await renewal, refreshes()], [true, 2]);
    server.next(REFRESH, problem(status, code, { "retry-after": "30" }));
    await assert.rejects(auth.refresh(), { code, retryAfter: 30 });
    await clock.advance(29);
    await assert.rejects(auth.refresh(), { code });
    server.next("GET /profile", problem(401, "token_expired"));
    await assert.rejects(auth.fetch("/profile"), { code });
    assert.deepEqual([refreshes(), auth.status], [3, "signed-in"]);
    await clock.advance(1.1);
    assert.deepEqual([refreshes(), auth.state.error], [4, null]);
  }
});

test("what no server of logins says is no sign-out either", async () => {
  const portal = new Response("<h1>Welcome to our hotel");
  const gateways = new Response("<h1>Who are you?", { status: 401 });
  for (const answer of [gateways, Response.json({ message: "Unauthorized" }, { status: 401 }), new Response("<h1>Bad gateway", { status: 502 }), problem(500, "internal_error"), problem(404, "not_found"), portal]) {
    const { server, auth, refreshes } = await signedIn();
    server.next(REFRESH, answer);
    await assert.rejects(auth.refresh(), { status: answer.status });
    assert.deepEqual([auth.status, refreshes()], ["signed-in", 1]);
  }
});

test("a refresh is given up after the time that the server named, eight seconds before the first, and tried again", async () => {
  const { clock, server, auth, refreshes } = await signedIn({ timeout: 3 });
  server.next(REFRESH, silent);
  const renewal = auth.refresh();
  await clock.advance(2.9);
  assert.equal(refreshes(), 1);
  await clock.advance(0.5);
  assert.deepEqual([await renewal, refreshes()], [true, 2]);
  const first = house({ timeout: 3 });
  first.server.next(REFRESH, silent);
  first.browser.open();
  await first.clock.advance(7.9);
  assert.equal(first.server.count(REFRESH), 1);
  await first.clock.advance(0.5);
  assert.equal(first.server.count(REFRESH), 2);
});

test("an answer that is lost is asked for again", async () => {
  const { clock, server, auth, refreshes } = await signedIn();
  server.next(REFRESH, lost, lost, lost);
  const renewal = auth.refresh();
  await clock.advance(2);
  assert.deepEqual([await renewal, refreshes()], [true, 4]);
});

test("a session that ends between the refresh and the question whose it is, is over", async () => {
  const { clock, server, auth } = await signedIn();
  server.next(REFRESH, async (usual) => {
    const answer = await usual();
    server.endAll();
    return answer;
  });
  const renewal = auth.refresh();
  await clock.advance(1);
  assert.deepEqual([await renewal, auth.status], [false, "signed-out"]);
});

test("a body that can be read once is sent once: before that, what has expired is renewed", async () => {
  const { clock, server, auth, refreshes } = await signedIn();
  const stream = () => new Blob(["{\"a\":1}"]).stream();
  server.next("POST /upload", problem(401, "token_expired"));
  assert.equal((await auth.fetch("/upload", { method: "POST", body: stream(), duplex: "half" })).status, 401);
  assert.deepEqual([refreshes(), server.count("POST /upload")], [0, 1]);
  clock.seconds += 901;
  assert.equal((await auth.fetch("/upload", { method: "POST", body: stream(), duplex: "half" })).status, 200);
  assert.deepEqual([refreshes(), server.count("POST /upload")], [1, 2]);
});

test("a Request is sent again with its body", async () => {
  const { server, auth } = await signedIn();
  server.next("POST /profile", problem(401, "token_expired"));
  const request = new Request("https://app.example.com/profile", { method: "POST", body: "{\"a\":1}" });
  assert.deepEqual((await (await auth.fetch(request)).json()).body, { a: 1 });
  assert.equal(server.count("POST /profile"), 2);
});

test("whoever no longer waits for an answer does not wait for a renewal either", async () => {
  const { server, auth, clock } = await signedIn();
  server.next("GET /profile", problem(401, "token_expired"));
  server.next(REFRESH, silent);
  const control = new AbortController();
  const answer = assert.rejects(auth.fetch("/profile", { signal: control.signal }), { name: "AbortError" });
  await settle();
  control.abort();
  await answer;
  await clock.advance(9);
  assert.equal(auth.status, "signed-in");
});

test("only our own origins see the token, the cookies' leave and the renewals", async () => {
  const { server, auth, refreshes } = await signedIn({ mode: "hybrid" }, { origins: ["https://api.example.org"] });
  for (const [url, sees] of [
    ["https://evil.example.net/profile", false],
    ["https://app.example.com.evil.example.net/profile", false],
    ["http://app.example.com/profile", false],
    ["//evil.example.net/profile", false],
    ["https://api.example.org/profile", true],
    ["profile", true],
  ]) {
    await auth.fetch(url);
    const { headers } = server.calls.at(-1);
    assert.equal("authorization" in headers, sees, url);
  }
  server.next("GET /profile", problem(401, "token_expired"));
  assert.equal((await auth.fetch("https://evil.example.net/profile")).status, 401);
  assert.equal(refreshes(), 0);
});

test("a redirect to another origin leaves the token behind, and its 401 signs nobody out", async (t) => {
  const [left, carried] = [[], []];
  const elsewhere = createServer(({ headers }, answer) => {
    carried.push(headers.authorization);
    answer.writeHead(401, { connection: "close" }).end();
  });
  const ours = createServer(({ headers }, answer) => {
    left.push(headers.authorization);
    answer.writeHead(307, { connection: "close", location: `http://127.0.0.1:${elsewhere.address().port}/` }).end();
  });
  for (const server of [elsewhere, ours]) {
    t.after(() => server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
  }
  const origin = `http://127.0.0.1:${ours.address().port}`;
  const { auth, tab, refreshes } = await signedIn({ mode: "hybrid" }, { origins: [origin] });
  const { fetch: made } = tab.world;
  tab.world.fetch = (input, init) => (String(input).startsWith(origin) ? fetch : made)(input, init);
  assert.equal((await auth.fetch(`${origin}/profile`)).status, 401);
  assert.ok(left.length === 2 && left.every((token) => token?.startsWith("Bearer ")));
  assert.deepEqual([carried, refreshes(), auth.status], [[undefined, undefined], 1, "signed-in"]);
});

test("a server elsewhere is asked with cookies", async () => {
  const { server, auth } = await signedIn({}, { baseURL: "https://api.example.org/auth/" });
  assert.equal(auth.baseURL, "https://api.example.org/auth");
  await auth.fetch("https://api.example.org/profile");
  assert.equal(server.calls.at(-1).credentials, "include");
  await auth.fetch("/profile");
  assert.equal(server.calls.at(-1).url, "https://app.example.com/profile");
  assert.equal(server.calls.at(-1).credentials, "same-origin");
});

test("a proof against forgery is fetched once it is asked for, and again when it is refused", async () => {
  const { server, auth } = await signedIn({ csrf: true });
  await auth.fetch("/profile", { method: "POST", body: "{}" });
  const before = server.count("GET /auth/csrf");
  await auth.fetch("/profile", { method: "POST", body: "{}" });
  assert.equal(server.count("GET /auth/csrf"), before, "it is kept");
  server.next("POST /profile", problem(403, "csrf_rejected"));
  assert.equal((await auth.fetch("/profile", { method: "POST", body: "{}" })).status, 200);
  assert.equal(server.count("GET /auth/csrf"), before + 1);
  server.next("POST /profile", problem(403, "csrf_rejected"), problem(403, "csrf_rejected"));
  assert.equal((await auth.fetch("/profile", { method: "POST", body: "{}" })).status, 403);
  assert.equal((await auth.fetch("/forbidden", {})).status, 200);
});

test("what one user has begun is not sent again as another", async () => {
  const { server, browser, auth } = await signedIn({ mode: "cookies" });
  browser.has.BroadcastChannel = false;
  server.next("POST /transfer", async () => {
    const other = browser.open();
    await other.auth.signIn(EVE);
    other.auth.close();
    return problem(401, "session_ended");
  });
  assert.equal((await auth.fetch("/transfer", { method: "POST", body: "{}" })).status, 401);
  assert.deepEqual([server.count("POST /transfer"), auth.user.email], [1, EVE.email]);
});

// Another user takes the jar over, and no channel tells of it.
async function takenOver(settings) {
  const home = await signedIn(settings);
  home.browser.channels.clear();
  const takeOver = async () => {
    const other = home.browser.open();
    await other.auth.signIn(EVE);
    other.auth.close();
  };
  return { ...home, takeOver, transfer: () => home.auth.fetch("/transfer", { method: "POST", body: "{}" }) };
}

test("a refused proof against forgery sends nothing again as another", async () => {
  const { server, auth, takeOver, transfer } = await takenOver();
  server.next("POST /transfer", async () => {
    await takeOver();
    await auth.refresh();
    return problem(403, "csrf_rejected");
  });
  assert.equal((await transfer()).status, 403);
  assert.deepEqual([server.count("POST /transfer"), auth.user.email], [1, EVE.email]);
});

test("what waits for a renewal is not sent as another whom that finds signed in", async () => {
  const { server, auth, clock, takeOver, transfer } = await takenOver();
  await takeOver();
  clock.seconds += 901;
  await assert.rejects(transfer(), { name: "AuthError", code: "unreachable" });
  assert.deepEqual([server.count("POST /transfer"), auth.user.email], [0, EVE.email]);
});

test("no request goes with tokens of which it is not known yet whose they are", async () => {
  const { server, auth, takeOver, transfer } = await takenOver({ mode: "hybrid" });
  await takeOver();
  let land;
  server.next("GET /auth/me", (usual) => new Promise((resolve) => { land = () => resolve(usual()); }));
  const renewal = auth.refresh();
  await settle();
  const answer = assert.rejects(transfer(), { name: "AuthError" });
  await settle();
  land();
  await answer;
  assert.deepEqual([await renewal, server.count("POST /transfer"), auth.user.email], [true, 0, EVE.email]);
});

test("a server that asks for more than a day is asked again after that", async () => {
  const { server, auth, refreshes, clock } = await signedIn();
  server.next(REFRESH, problem(503, "overloaded", { "retry-after": "100000" }));
  await assert.rejects(auth.refresh(), { retryAfter: 100_000 });
  await clock.advance(99_999);
  assert.equal(refreshes(), 1);
  await clock.advance(2);
  assert.deepEqual([refreshes(), auth.state.error], [2, null]);
});
