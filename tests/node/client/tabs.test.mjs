// Several tabs over one jar, with and without what browsers give them to speak to each other.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ADA, BASE, EVE, house, problem, settle, silent } from "./world.mjs";

const REFRESH = "POST /auth/refresh";

async function two(settings, has = {}) {
  const home = house(settings);
  Object.assign(home.browser.has, has);
  const [one, other] = [home.browser.open(), home.browser.open()];
  await home.clock.until(Promise.all([one.auth.ready, other.auth.ready]));
  return { ...home, one, other };
}

test("a sign-in is heard of in every tab, and so is a sign-out", async () => {
  for (const mode of ["cookies", "hybrid", "jwt_cookie", "session"]) {
    const { one, other, server } = await two({ mode });
    const before = server.count(REFRESH);
    await one.auth.signIn(ADA);
    await settle();
    assert.deepEqual([other.auth.status, other.auth.user.email], ["signed-in", ADA.email]);
    assert.equal((await other.auth.fetch("/profile")).status, 200);
    await other.auth.signOut();
    await settle();
    assert.deepEqual([one.auth.status, one.seen.at(-1)], ["signed-out", "signed-out"]);
    assert.equal(server.count(REFRESH), before, "without asking the server");
  }
});

test("tabs renew once for all of them (W16)", async () => {
  const { browser, clock, server, one, other } = await two({ mode: "hybrid" });
  await one.auth.signIn(ADA);
  const tabs = [one, other, ...Array.from({ length: 8 }, () => browser.open())];
  await clock.until(Promise.all(tabs.map(({ auth }) => auth.ready)));
  const before = server.count(REFRESH);
  await clock.advance(24 * 3600);
  const renewals = server.count(REFRESH) - before;
  assert.ok(renewals >= 112 && renewals <= 130, `${renewals} in a day of 15 minutes each`);
  const refreshing = server.count(REFRESH);
  server.next(REFRESH, (usual) => new Promise((resolve) => void clock.setTimeout(() => resolve(usual()), 100)));
  const all = Promise.all(tabs.map(({ auth }) => auth.refresh()));
  assert.deepEqual(await clock.until(all), tabs.map(() => true));
  assert.equal(server.count(REFRESH), refreshing + 1);
  assert.ok(tabs.every(({ auth }) => auth.user.email === ADA.email));
});

test("without locks and channels every tab asks for itself, and none is signed out (W16)", async () => {
  const { server, one, other, clock } = await two({ mode: "hybrid" }, { locks: false, BroadcastChannel: false });
  await one.auth.signIn(ADA);
  assert.equal(other.auth.status, "signed-out", "nobody has told it");
  assert.equal(await other.auth.refresh(), true);
  const before = server.count(REFRESH);
  assert.deepEqual(await Promise.all([one.auth.refresh(), other.auth.refresh()]), [true, true]);
  assert.equal(server.count(REFRESH), before + 2);
  await one.auth.signOut();
  assert.equal(other.auth.status, "signed-in");
  assert.equal((await other.auth.fetch("/profile")).status, 401);
  assert.equal(other.auth.status, "signed-out");
  await clock.advance(0);
});

test("a lock that a frozen tab holds keeps nobody waiting for more than a refresh may take", async () => {
  const { browser, clock, server, one } = await two();
  await one.auth.signIn(ADA);
  browser.locks.freeze();
  const before = server.count(REFRESH);
  const renewal = one.auth.refresh();
  await clock.advance(7.9);
  assert.equal(server.count(REFRESH), before);
  await clock.advance(0.2);
  assert.deepEqual([await renewal, server.count(REFRESH)], [true, before + 1]);
});

test("somebody else who signs in elsewhere is signed in here too, and nothing of the first one stays", async () => {
  for (const mode of ["cookies", "hybrid"]) {
    const { one, other, server } = await two({ mode });
    await one.auth.signIn(ADA);
    await settle();
    await other.auth.signIn(EVE);
    await settle();
    assert.deepEqual([one.auth.user.email, one.auth.session.id], [EVE.email, other.auth.session.id]);
    assert.equal((await (await one.auth.fetch("/profile")).json()).email, EVE.email);
    assert.deepEqual(one.seen.slice(-2), [`signed-in ${ADA.email}`, `signed-in ${EVE.email}`]);
    assert.equal(server.calls.at(-1).call, "GET /profile");
  }
});

test("a refresh that lands after another tab's sign-in gives nobody the old session", async () => {
  const { one, other, server, clock } = await two({ mode: "hybrid" }, { locks: false });
  await one.auth.signIn(ADA);
  await settle();
  let land;
  server.next(REFRESH, (usual) => {
    const made = usual();
    return new Promise((resolve) => { land = () => resolve(made); });
  });
  const renewal = one.auth.refresh();
  await settle();
  await other.auth.signIn(EVE);
  await settle();
  land();
  assert.equal(await clock.until(renewal), true);
  assert.equal(one.auth.user.email, EVE.email);
  assert.equal((await (await one.auth.fetch("/profile")).json()).email, EVE.email);
});

test("a sign-out of a session that is long over does not end the one that followed", async () => {
  const { browser, one } = await two();
  await one.auth.signIn(ADA);
  const [channel] = browser.channels;
  channel.postMessage({ kind: "signed-out", session: "an older one" });
  for (const other of browser.channels) other.onmessage({ data: { kind: "signed-out", session: "an older one" } });
  await settle();
  assert.equal(one.auth.status, "signed-in");
});

test("messages of any other shape are nobody's (ASVS 3.5.5)", async () => {
  const { browser, one } = await two({ mode: "hybrid" });
  await one.auth.signIn(ADA);
  await settle();
  const { state } = one.auth;
  const good = { kind: "signed-in", token: "evil", life: 9999, timeout: 8, user: { id: "1" }, session: { id: "2" } };
  const foreign = [
    null, undefined, 1, "signed-out", [], {}, { kind: "signed-out" }, { kind: "signed-out", session: 1 },
    { ...good, kind: "other" }, { ...good, token: 1 }, { ...good, token: undefined }, { ...good, life: "9999" },
    { ...good, life: -1 }, { ...good, life: Infinity }, { ...good, life: NaN }, { ...good, timeout: 0 },
    { ...good, user: null }, { ...good, user: { id: 1 } }, { ...good, session: "2" }, { ...good, session: {} },
    { type: "webpackOk" }, { source: "react-devtools-bridge" },
  ];
  for (const data of foreign) for (const channel of browser.channels) channel.onmessage({ data });
  assert.equal(one.auth.state, state);
  for (const channel of browser.channels) channel.onmessage({ data: good });
  assert.equal(one.auth.user.id, "1", "the one of our shape would have counted");
});

test("in mode bearer a session is its tab's own: nothing is handed on", async () => {
  const { browser, one, other } = await two({ mode: "bearer" });
  const heard = [];
  for (const channel of browser.channels) {
    const { onmessage } = channel;
    channel.onmessage = (event) => { heard.push(event.data); onmessage(event); };
  }
  await one.auth.signIn(ADA);
  await one.auth.refresh();
  await settle();
  assert.deepEqual([other.auth.status, heard], ["signed-out", []]);
  await other.auth.signIn(EVE);
  await other.auth.signOut();
  await settle();
  assert.deepEqual([one.auth.user.email, await one.auth.refresh(), heard], [ADA.email, true, []]);
});

test("a refresh token never goes to another tab, nor any token to storage", async () => {
  for (const mode of ["cookies", "hybrid", "bearer"]) {
    const { browser, one, server } = await two({ mode });
    server.next(REFRESH, silent);
    await one.auth.signIn(ADA);
    server.next("POST /auth/logout", problem(503, "unavailable"));
    await one.auth.signOut();
    assert.deepEqual([...browser.storage.entries()], mode === "bearer" ? [] : [[`watchword ${BASE}`, "/logout"]]);
  }
});

test("what comes too late undoes no sign-out of another tab", async () => {
  for (const late of [(auth) => auth.signIn(ADA), (auth) => auth.call("POST", "/reauthenticate", ADA)]) {
    const { browser, one, other, server } = await two({ mode: "hybrid" });
    await one.auth.signIn(ADA);
    await settle();
    let land;
    const held = (usual) => new Promise((resolve) => { land = () => resolve(usual()); });
    server.next("POST /auth/login", held);
    server.next("POST /auth/reauthenticate", async () => held(() => Response.json({ access_token: "late", token_type: "Bearer", expires_in: 900, refresh_timeout: 8 })));
    const answer = assert.rejects(late(one.auth), { name: "AuthError", code: "unreachable" });
    await settle();
    const out = other.auth.signOut();
    await settle();
    land();
    await answer;
    assert.deepEqual([await out, one.auth.status, other.auth.status], [true, "signed-out", "signed-out"]);
    assert.deepEqual([browser.jar.has("refresh"), browser.storage.size, one.seen.at(-1)], [false, 0, "signed-out"]);
  }
});
