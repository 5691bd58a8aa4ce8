// The story of tests/scenarios/test_client.py, told by the browser client, of each house that it is given. They are told
// side by side, as most of each is waiting.
import assert from "node:assert/strict";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

import { browserAt } from "./client/real.mjs";
import { Mailbox } from "./mailbox.mjs";

const { houses, mailbox: folder } = JSON.parse(await text(process.stdin));
const mailbox = new Mailbox(folder);

async function signIn({ auth }, { email, password }) {
  const { answer, code } = await mailbox.after(() => auth.signIn({ email, password }));
  assert.deepEqual([answer.next.step, answer.user, auth.status], ["two_factor", undefined, "signed-out"]);
  const wrong = String((Number(code) + 1) % 1e6).padStart(6, "0");
  await assert.rejects(auth.verifyCode(wrong), { name: "AuthError", code: "code_invalid", status: 401 });
  const { user, session, next } = await auth.verifyCode(code);
  assert.deepEqual([user.email, next, auth.status, auth.session.id], [email, null, "signed-in", session.id]);
}

async function tell(house) {
  const { url, mode, email, seconds } = house;
  const browser = browserAt(url);
  const open = async () => {
    const tab = browser.open({ mode });
    await tab.auth.ready;
    return tab;
  };
  const who = async ({ auth }) => {
    const answer = await auth.fetch("/auth/me");
    return answer.ok ? (await answer.json()).user.email : answer.status;
  };
  const page = await open();
  assert.equal(page.auth.status, "signed-out");
  await assert.rejects(page.auth.signIn({ email, password: "not the password" }), { code: "invalid_credentials", status: 401 });
  await signIn(page, house);

  const refreshes = () => browser.calls.filter((call) => call === "POST /auth/refresh").length;
  const before = refreshes();
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) assert.equal(await who(page), email);
  const renewals = refreshes() - before;
  if (mode === "jwt_cookie" || mode === "session") assert.equal(renewals, 0, "the guard does that");
  else assert.ok(renewals >= 2, `${renewals} renewals in ${seconds} s`);
  page.auth.close();

  const [one, other] = [await open(), await open()]; // loaded again, and opened beside it
  for (const tab of [one, other]) {
    if (mode === "bearer") await signIn(tab, house); // its tokens were in the memory of the page
    assert.equal(await who(tab), email);
  }
  assert.equal(await one.auth.signOut(), true);
  assert.deepEqual([one.auth.status, await who(one)], ["signed-out", 401]);
  if (mode === "bearer") assert.equal(await who(other), email, "a session of its own");
  else for (const end = Date.now() + 20_000; other.auth.status !== "signed-out"; await sleep(20)) assert.ok(Date.now() < end);
  const next = await open();
  assert.equal(next.auth.status, "signed-out");
  for (const { auth } of [one, other, next]) auth.close();
  return { renewals };
}

const told = await Promise.allSettled(houses.map(tell));
console.log(JSON.stringify(told.map(({ value, reason }) => value ?? { fault: String(reason?.stack) })));
