// What becomes of a client whose refresh goes through its own interceptor, and of the same client put right, when its
// server answers this way and that. Prints by client and case how the call ended, how often it refreshed and
// how often at once.
import "./here.mjs";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

import { axiosClient } from "./axios_client.mjs";
import { CONTRACTS } from "./contracts.mjs";
import { Jar, Page } from "./jar.mjs";

const { url, page: origin, email, password, window } = JSON.parse(await text(process.stdin));
const contract = CONTRACTS.S1;

// Each is given a client of its own, and returns the call that is watched.
const CASES = {
  async refreshes({ client, page }) {
    await client.login(email, password);
    client.setAccessToken("expired");
    page.last = "POST /auth/refresh"; // a 401 that comes after its answer is no part of this flight
    return () => Promise.all([1, 2, 3].map(() => client.request("GET", "/profile"))).then(([first]) => first);
  },
  async signedOut({ client, page }) {
    await client.login(email, password);
    page.jar = new Jar();
    client.setAccessToken("expired");
    return () => client.request("GET", "/profile");
  },
  async startsSignedOut({ client }) {
    return () => client.refresh();
  },
  async wrongPasswordOfNobody({ client }) {
    return () => client.login(email, "wrong");
  },
  async wrongPasswordWhileSignedIn({ client }) {
    await client.login(email, password);
    return () => client.login(email, "wrong");
  },
  // The jar holds what it held before another tab's refresh took over: the answer is a 409.
  async superseded({ client, page }) {
    await client.login(email, password);
    const before = page.jar.copy();
    await client.refresh();
    await sleep(window * 1000);
    await client.refresh();
    page.jar = before;
    return () => client.refresh();
  },
  // The answer is a 403 that scripts of this page may not read, which to them is a network that failed.
  async strangerPage({ client, page }) {
    await client.login(email, password);
    page.origin = "https://app.example.net";
    return () => client.refresh();
  },
  async badRequest({ client }) {
    await client.login(email, password);
    return () => client.request("POST", "/auth/login", { unknown: "field" });
  },
  async unknownAddress({ client }) {
    await client.login(email, password);
    return () => client.request("GET", "/nowhere");
  },
  async signsOutExpired({ client }) {
    await client.login(email, password);
    client.setAccessToken("expired");
    return () => client.logout().then(() => ({ status: 200 }));
  },
  async signsOutTwice({ client }) {
    await client.login(email, password);
    await client.logout();
    return () => client.logout().then(() => ({ status: 200 }));
  },
};

// How a call ends: a status, or "hangs" when nothing is on its way to the server any more and nothing has come of it.
async function ending(call, page) {
  let ended = null;
  call().then(
    (response) => (ended = response?.status ?? 200),
    (error) => (ended = error.response?.status ?? error.code ?? String(error)),
  );
  for (let quiet = 0; ended === null && quiet < 10; quiet += 1) {
    await sleep(50);
    if (page.pending) quiet = 0;
  }
  return ended ?? "hangs";
}

async function outcome(prepare, faulty) {
  const page = new Page(origin, new Jar());
  const client = axiosClient({ url, fetch: page.fetch, contract, storage: {}, faulty });
  const call = await prepare({ client, page });
  const before = page.calls.length;
  const ended = await ending(call, page);
  const refreshes = page.calls.slice(before).filter((name) => name === "POST /auth/refresh").length;
  return { ended, refreshes, flights: page.most.get("POST /auth/refresh") ?? 0 };
}

const facts = { faulty: {}, corrected: {} };
for (const [name, prepare] of Object.entries(CASES)) {
  [facts.faulty[name], facts.corrected[name]] = await Promise.all([outcome(prepare, true), outcome(prepare, false)]);
}
console.log(JSON.stringify(facts));
