// Signing in and out: what the client asks, keeps and tells, in every mode and spelling.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ADA, BASE, EVE, house, lost, offline, problem, settle, silent } from "./world.mjs";

for (const mode of ["cookies", "hybrid", "bearer", "jwt_cookie", "session"]) {
  for (const words of [{}, { camel: true, field: "token", csrf: true }]) {
    test(`signs in, calls and signs out: ${mode} ${JSON.stringify(words)}`, async () => {
      const { browser, server } = house({ mode, ...words });
      const { auth, seen } = browser.open();
      assert.equal((await auth.ready).status, "signed-out");
      const told = await auth.signIn(ADA);
      assert.deepEqual([told.next, told.user.email, auth.user.email, auth.status], [null, ADA.email, ADA.email, "signed-in"]);
      assert.ok(!JSON.stringify(told).includes("/900"), "no token leaves the client");
      const answer = await auth.fetch("/profile", { method: "POST", body: JSON.stringify({ a: 1 }) });
      assert.deepEqual(await answer.json(), { email: ADA.email, body: { a: 1 } });
      assert.equal(await auth.refresh(), true);
      assert.equal(await auth.signOut(), true);
      assert.equal((await auth.fetch("/profile")).status, 401);
      assert.deepEqual(seen, ["signed-out", `signed-in ${ADA.email}`, "signed-out"]);
      assert.equal(server.count("GET /auth/csrf") > 0, Boolean(words.csrf), "no proof is fetched that nobody asks for");
      assert.ok(server.calls.every(({ call, headers }) => call !== "POST /auth/login" || !headers["x-auth-mode"]));
      auth.close();
    });
  }

  test(`a second step: ${mode}`, async () => {
    const { browser } = house({ mode });
    browser.jar.set("two_factor_auth", "yes");
    const { auth } = browser.open({ mode });
    const { next, user } = await auth.signIn({ email: "two@example.com", password: "right" });
    assert.deepEqual([next.step, user, auth.status], ["two_factor", undefined, "signed-out"]);
    await assert.rejects(auth.verifyCode("000000"), { name: "AuthError", code: "code_invalid", status: 401 });
    assert.equal((await auth.resendCode()).expires_in, 600);
    assert.equal((await auth.verifyCode("123456")).user.email, "two@example.com");
    assert.equal(auth.status, "signed-in");
    auth.close();
  });
}

test("a wrong password is an error with a code, and no reason to refresh (W1)", async () => {
  const { browser, server } = house();
  const { auth } = browser.open();
  await auth.ready;
  const before = server.count("POST /auth/refresh");
  await assert.rejects(auth.signIn({ ...ADA, password: "wrong" }), { code: "invalid_credentials", status: 401 });
  await auth.signIn(ADA);
  await assert.rejects(auth.signIn({ ...ADA, password: "wrong" }), { code: "invalid_credentials" });
  const body = JSON.stringify({ ...ADA, password: "wrong" });
  assert.equal((await auth.fetch(`${BASE}/login`, { method: "POST", body })).status, 401);
  assert.equal(server.count("POST /auth/refresh"), before);
  assert.equal(auth.status, "signed-in");
});

test("a page that is loaded again is signed in, and one in mode bearer is not (W2)", async () => {
  for (const mode of ["cookies", "hybrid", "jwt_cookie", "session", "bearer"]) {
    const { browser } = house({ mode });
    const first = browser.open({ mode });
    await first.auth.ready;
    await first.auth.signIn(ADA);
    first.auth.close();
    const again = browser.open({ mode });
    assert.equal(again.auth.status, "pending");
    const { status, user } = await again.auth.ready;
    assert.deepEqual([status, user?.email], mode === "bearer" ? ["signed-out", undefined] : ["signed-in", ADA.email]);
    assert.equal((await again.auth.fetch("/profile")).status, mode === "bearer" ? 401 : 200);
  }
});

test("signing out forgets at once, and tells the server as soon as it can be reached, after a reload too", async () => {
  const { browser, server, clock } = house();
  const tab = browser.open();
  await tab.auth.ready;
  await tab.auth.signIn(ADA);
  server.next("POST /auth/logout", offline, offline);
  assert.equal(await tab.auth.signOut(), false);
  assert.equal(tab.auth.status, "signed-out");
  assert.equal(await tab.auth.refresh(), false, "nor is anybody signed in again by a refresh");
  tab.auth.close();
  const again = browser.open();
  assert.equal((await again.auth.ready).status, "signed-out");
  assert.equal(browser.jar.has("refresh"), true);
  await clock.advance(3);
  assert.equal(browser.jar.has("refresh"), false);
  assert.equal(server.count("POST /auth/logout"), 3);
  await clock.advance(1000);
  assert.equal(server.count("POST /auth/logout"), 3, "once is enough");
  again.auth.close();
});

test("a refresh that is under way ends before a sign-in or sign-out begins", async () => {
  for (const leave of [(auth) => auth.signOut(), (auth) => auth.signIn(EVE)]) {
    const { browser, server, clock } = house();
    const { auth } = browser.open();
    await auth.ready;
    await auth.signIn(ADA);
    let land;
    server.next("POST /auth/refresh", (usual) => new Promise((resolve) => { land = () => resolve(usual()); }));
    const renewal = auth.refresh().catch(() => null);
    await settle();
    const before = server.calls.length;
    const done = leave(auth);
    await settle();
    assert.equal(server.calls.length, before, "it waits");
    land();
    await done;
    await renewal;
    await clock.advance(1);
    assert.deepEqual([auth.user?.email, browser.jar.has("refresh")], leave.toString().includes("EVE") ? [EVE.email, true] : [undefined, false]);
    auth.close();
  }
});

test("a refresh that hangs keeps a sign-out waiting for its deadline, no longer", async () => {
  const { browser, server, clock } = house();
  const { auth } = browser.open();
  await auth.ready;
  await auth.signIn(ADA);
  server.next("POST /auth/refresh", silent, silent, silent);
  const renewal = assert.rejects(auth.refresh(), { code: "unreachable" });
  await settle();
  const out = auth.signOut();
  await clock.advance(8.1);
  assert.equal(await out, true);
  await renewal;
  assert.equal(auth.status, "signed-out");
});

test("with a proof against forgery, what can be sent only once is sent with it", async () => {
  const { browser } = house({ csrf: true });
  const { auth } = browser.open();
  await auth.ready;
  await auth.signIn(ADA);
  const body = new Blob(["{}"]).stream();
  assert.equal((await auth.fetch("/profile", { method: "POST", body, duplex: "half" })).status, 200);
});

test("everywhere", async () => {
  const { browser, server } = house();
  const { auth } = browser.open();
  await auth.signIn(ADA);
  assert.equal(await auth.signOut({ everywhere: true }), true);
  assert.equal(server.count("POST /auth/logout/all"), 1);
});

test("what a sign-in lost on the way back is told as unreachable, and a later one counts", async () => {
  const { browser, server } = house();
  const { auth } = browser.open();
  await auth.ready;
  server.next("POST /auth/login", lost);
  await assert.rejects(auth.signIn(ADA), { code: "unreachable", status: 0 });
  await auth.signIn(ADA);
  assert.equal(auth.user.email, ADA.email);
});

test("a page that a network puts in the server's place is an answer to nothing", async () => {
  const { browser, server, clock } = house();
  const { auth } = browser.open();
  await auth.ready;
  const portal = () => new Response("<h1>Welcome to our hotel");
  server.next("POST /auth/login", portal());
  await assert.rejects(auth.signIn(ADA), { code: "unreachable" });
  await auth.signIn(ADA);
  server.next("POST /auth/logout", portal());
  assert.equal(await auth.signOut(), false);
  await clock.advance(3);
  assert.deepEqual([server.count("POST /auth/logout"), browser.jar.has("refresh")], [2, false]);
});

test("other routes of the login are called with tokens, and answers that bring new ones are taken up", async () => {
  const { browser, server } = house({ mode: "hybrid" });
  const { auth } = browser.open();
  await auth.ready;
  await auth.signIn(ADA);
  const fresh = { access_token: "fresh", token_type: "Bearer", expires_in: 900, refresh_timeout: 8 };
  server.next("POST /auth/password/change", () => Response.json(fresh));
  server.next("GET /auth/me", () => Response.json({ user: auth.user, session: auth.session }));
  assert.deepEqual(await auth.call("POST", "/password/change", {}), { expires_in: 900, refresh_timeout: 8 });
  server.next("GET /auth/sessions", () => Response.json({ sessions: [] }));
  assert.deepEqual(await auth.call("GET", "/sessions"), { sessions: [] });
  assert.equal(server.calls.at(-1).headers.authorization, "Bearer fresh");
});

test("no listener of ours is a global's business: closing leaves nothing behind", async () => {
  const { browser, clock } = house();
  const { auth } = browser.open();
  await auth.ready;
  await auth.signIn(ADA);
  auth.close();
  await settle();
  assert.deepEqual([clock.waiting, browser.channels.size], [[], 0]);
});

test("a sign-out that the server was not told of goes before the next sign-in, or there is none", async () => {
  const { browser, server, clock } = house();
  const { auth } = browser.open();
  await auth.signIn(ADA);
  server.next("POST /auth/logout/all", offline, offline);
  assert.equal(await auth.signOut({ everywhere: true }), false);
  await assert.rejects(auth.signIn(EVE), { code: "unreachable", status: 0 });
  assert.equal(server.count("POST /auth/login"), 1);
  await auth.signIn({ email: "two@example.com", password: "right" });
  assert.deepEqual(server.calls.slice(-2).map(({ call }) => call), ["POST /auth/logout/all", "POST /auth/login"]);
  browser.jar.set("two_factor_auth", "yes");
  await clock.advance(100);
  await auth.verifyCode("123456");
  assert.deepEqual([auth.status, server.count("POST /auth/logout/all"), browser.storage.size], ["signed-in", 3, 0]);
});

test("a listener that throws is reported, and stops neither the sign-out nor other listeners", async () => {
  const { browser, server } = house();
  const { auth } = browser.open();
  await auth.signIn(ADA);
  const [event, reported, told] = ["unhandledRejection", [], []];
  const usual = process.listeners(event);
  process.removeAllListeners(event).on(event, ({ message }) => reported.push(message));
  auth.onChange(() => { throw new Error("a page's own"); });
  auth.onChange(({ status }) => told.push(status));
  assert.equal(await auth.signOut(), true);
  await settle();
  process.removeAllListeners(event);
  for (const listener of usual) process.on(event, listener);
  assert.deepEqual([reported, told, server.count("POST /auth/logout")], [["a page's own"], ["signed-out"], 1]);
});

test("a sign-out is tried again when the server says, and not after a final refusal", async () => {
  for (const refusal of [problem(429, "rate_limited", { "retry-after": "90" }), problem(403, "forbidden"), problem(404, "not_found")]) {
    const { browser, server, clock } = house();
    const { auth } = browser.open();
    await auth.signIn(ADA);
    server.next("POST /auth/logout", refusal);
    assert.deepEqual([await auth.signOut(), auth.status], [false, "signed-out"]);
    await clock.advance(89);
    assert.equal(server.count("POST /auth/logout"), 1);
    await clock.advance(1000);
    assert.equal(server.count("POST /auth/logout"), refusal.status === 429 ? 2 : 1);
    assert.equal(browser.storage.size, 0);
  }
});

test("in mode bearer no sign-out outlives the page: without its token it could end nothing", async () => {
  const { browser, server, clock } = house({ mode: "bearer" });
  const { auth } = browser.open({ mode: "bearer" });
  await auth.signIn(ADA);
  server.next("POST /auth/logout", offline);
  assert.equal(await auth.signOut(), false);
  assert.equal(browser.storage.size, 0);
  await clock.advance(3);
  assert.ok(server.calls.at(-1).body.refresh_token, "the page itself tries again with the token");
  assert.equal(server.count("POST /auth/logout"), 2);
});
