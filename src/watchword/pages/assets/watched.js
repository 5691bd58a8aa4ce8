// The client of a development page, and what is seen of its tokens: how often they came and how long they are good for.
// An app has no need to know; it asks `auth.fetch`, and that is all.

import { createAuth } from "../../client.js";
import { page, read } from "./page.js";

/** `at` in seconds of the page's own clock, `life` in seconds. */
export const seen = { count: 0, life: 0, at: 0 };
const now = () => performance.now() / 1000;
const note = (life) => Object.assign(seen, { count: seen.count + 1, life, at: now() });
export const age = () => now() - seen.at;

async function watched(input, init) {
  const answer = await fetch(input, init);
  const body = answer.ok && (await answer.clone().json().catch(() => null));
  if (body && read(body, "refresh_timeout")) note(read(body, "expires_in"));
  return answer;
}

export const auth = createAuth({ baseURL: page.prefix, mode: page.mode, fetch: watched });
// Another tab has renewed, and tells this one; what this one tells comes back here too.
new BroadcastChannel(`watchword ${auth.baseURL}`).onmessage = ({ data }) => {
  if (data.kind === "signed-in" && data.life > seen.life - age() + 0.5) note(data.life);
};
