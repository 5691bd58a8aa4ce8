// The promises, kept on this browser's own session: two workers that race, and a thief with a copy of its refresh token.

import { busy } from "./form.js";
import { at, leaveFor, page } from "./page.js";
import { trouble } from "./trouble.js";
import { age, auth, seen } from "./watched.js";

const SIGN_IN = `${page.prefix}/?next=${page.prefix}/dev/promises`;
const TIMES = 5;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
let stolen = false;

function tick() {
  const whole = Math.min(1, age() / (seen.life || 1));
  at("age").value = whole;
  at("age-told").textContent = `${Math.floor(age())} s of ${Math.round(seen.life)} s`;
  at("renewed").textContent = seen.count === 1 ? "once" : `${seen.count} times`;
}
setInterval(tick, 250);
at("renew").addEventListener("click", ({ target }) => busy(target, () => auth.refresh().catch(() => {})));

// No lock, and ten times the same token: what a browser with two tabs may do at its worst.
async function race() {
  const headers = (await auth.prepare(`${auth.baseURL}/refresh`, "POST")).headers;
  at("race-told").textContent = "";
  const lanes = ["lane-a", "lane-b"].map((id) => lane(at(id), headers));
  const statuses = (await Promise.all(lanes)).flat();
  const good = statuses.filter((status) => status === 200).length;
  const still = await auth.refresh().catch(() => false);
  at("race-told").textContent =
    `${good} of ${statuses.length} answers are new tokens. ${still ? "Still signed in." : "Signed out!"}`;
}
function lane(list, headers) {
  list.replaceChildren();
  const worker = new Worker(new URL("racer.js", import.meta.url), { type: "module" }), statuses = [];
  return new Promise((resolve, reject) => {
    worker.onerror = reject;
    worker.onmessage = ({ data }) => {
      if (data === null) {
        worker.terminate();
        return resolve(statuses);
      }
      statuses.push(data.status);
      const item = document.createElement("li");
      item.textContent = `${data.status} · ${data.took} ms`;
      item.className = data.status === 200 ? "" : "bad";
      list.append(item);
    };
    worker.postMessage({ url: `${auth.baseURL}/refresh`, headers, times: TIMES });
  });
}
at("race")?.addEventListener("click", ({ target }) => busy(target, race));

function told(step, ...statuses) {
  const item = document.querySelector(`[data-step=${step}]`);
  item.className = "done";
  for (const status of statuses) {
    const code = document.createElement("code");
    code.textContent = status;
    item.append(" ", code);
  }
}
/** Waits, and shows how far the whole is. */
async function wait(seconds, from, to) {
  const begun = performance.now();
  for (let part = 0; part < 1; await pause(0.1)) {
    part = Math.min(1, (performance.now() - begun) / 1000 / seconds);
    at("theft-progress").value = from + (to - from) * part;
  }
}
async function theft() {
  const thief = (verb) => auth.call("POST", `/dev/promises/${verb}`, {});
  at("theft-told").textContent = at("theft-error").textContent = "";
  at("theft-progress").hidden = false;
  const { window } = await thief("steal");
  told("stolen");
  const gap = window + 0.5;
  for (const part of [0, 1]) {
    await wait(gap, part / 3, (part + 1) / 3);
    if (!(await auth.refresh())) return;
    told("renewed", "200");
  }
  await wait(gap, 2 / 3, 1);
  stolen = true; // a sign-out is what is waited for
  let caught = false;
  try {
    const { status, code } = await thief("replay");
    told("replayed", `${status} ${code}`);
    const mine = await auth.fetch(`${auth.baseURL}/me`);
    told("ended", String(mine.status));
    caught = status === 401 && code === "refresh_reused" && mine.status === 401;
    if (!caught)
      at("theft-error").textContent = `Not caught: the thief was told ${status} ${code}, this page ${mine.status}.`;
  } finally {
    stolen = caught;
    if (!caught) follow(auth.state);
  }
  if (!caught) return;
  at("theft-told").textContent = "Caught. Both copies are worth nothing now, and a mail has told you.";
  at("again").hidden = false;
  at("again").focus();
}
at("steal")?.addEventListener("click", ({ target }) => busy(target, async () => {
  try {
    await theft();
    target.hidden = stolen;
  } catch (error) {
    at("theft-error").textContent = trouble(error);
  }
  at("theft-progress").hidden = true;
}));

function follow({ status, user, error }) {
  if (status === "signed-out" && !stolen) return leaveFor(SIGN_IN);
  at("away").hidden = !error;
  if (error) at("away").textContent = trouble(error);
  if (!user) return;
  tick();
  at("wait").hidden = true;
  at("promises").hidden = false;
}
auth.onChange(follow);
follow(await auth.ready);
