// Tabs of one browser that refresh again and again, each at its own pace: `rounds` times, three callers at once, with
// pauses of up to `pause` seconds between. `bare` ones have no locks and no channels. Prints what each of them saw.
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

import { browserAt } from "./client/real.mjs";

const { url, email, password, tabs, rounds, pause, bare } = JSON.parse(await text(process.stdin));
const browser = browserAt(url);
Object.assign(browser.has, { locks: !bare, BroadcastChannel: !bare });

async function open(first) {
  const { auth } = browser.open();
  await auth.ready;
  if (first) await auth.signIn({ email, password });
  while (auth.status === "pending") await auth.refresh().catch(() => null); // the network is bad from the beginning
  if (auth.status !== "signed-in") throw new Error("a tab opened signed out");
  const seen = { signedOut: 0, errors: {} };
  auth.onChange(({ status }) => void (seen.signedOut += status === "signed-out"));
  return { auth, seen };
}

async function torture({ auth, seen }) {
  for (let round = 0; round < rounds; round += 1) {
    const ends = await Promise.allSettled([auth.refresh(), auth.refresh(), auth.refresh()]);
    for (const { code } of ends.map(({ reason }) => reason).filter(Boolean)) seen.errors[code] = (seen.errors[code] ?? 0) + 1;
    await sleep(Math.random() * pause * 1000);
  }
}

const all = [await open(true)];
while (all.length < tabs) all.push(await open(false));
await Promise.all(all.map(torture));
const left = all.map(({ auth: { user, session } }) => [user?.email ?? null, session?.id ?? null]);
for (const { auth } of all) auth.close();
console.log(JSON.stringify({ seen: all.map(({ seen }) => seen), left }));
