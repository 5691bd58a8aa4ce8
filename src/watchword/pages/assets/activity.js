// What happened to the account, a page at a time.

import { busy } from "./form.js";
import { auth } from "./login.js";
import { ago, at, moment, say } from "./page.js";
import { trouble } from "./trouble.js";

const list = at("event-list"), older = at("older"), wrong = at("activity-error");
const STEP = 10;
const ALARMS = ["sign_in_failed", "refresh_reused", "code_failed", "code_refused", "rate_limited", "registered_again"];
/** What was fetched and is not shown yet, newest first; whether the server has more; how often it was begun anew. */
let waiting = [], last = null, more = true, run = 0;

export async function showActivity() {
  [waiting, last, more] = [[], null, true];
  run += 1;
  await take(Math.max(STEP, list.childElementCount), true);
}
async function take(count, anew = false) {
  const mine = run;
  wrong.textContent = "";
  try {
    if (waiting.length < count && more) {
      const { events } = await auth.call("GET", last ? `/events?before=${last}` : "/events");
      if (run !== mine) return; // whoever began anew shows these too
      more = events.length > 0;
      last = events.at(-1)?.id ?? last;
      waiting.push(...events);
    }
    const rows = waiting.splice(0, count).map(row);
    if (anew) list.replaceChildren(...rows);
    else list.append(...rows);
    if (!anew && rows.length) rows[0].focus();
    older.hidden = waiting.length === 0 && !more || list.childElementCount === 0 || list.childElementCount < STEP;
    at("no-activity").hidden = list.childElementCount > 0;
  } catch (error) {
    if (run === mine) wrong.textContent = trouble(error);
  }
}
function row({ name, detail, at: when, ip, by, session }) {
  const item = at("event").content.cloneNode(true).firstElementChild, time = item.querySelector("time");
  item.tabIndex = -1;
  item.classList.toggle("warn", ALARMS.includes(name));
  item.querySelector("div > span").textContent =
    say(`events.${name}_${detail}`) || say(`events.${name}`) || name.replaceAll("_", " ");
  time.dateTime = when;
  time.textContent = ago(when);
  time.title = moment(when);
  const here = session && session === auth.session?.id ? say("here.here") : null;
  const more = [ip, here, by && (say(`here.by_${by}`) || by)].filter(Boolean).map((text) => ` · ${text}`);
  time.after(...more);
  return item;
}
older.addEventListener("click", () => busy(older, () => take(STEP)));
