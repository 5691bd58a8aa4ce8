// The page of an app: who is signed in, and how long what keeps them so is good for.

import { busy } from "./form.js";
import { at, leaveFor, moment, page, read } from "./page.js";
import { trouble } from "./trouble.js";
import { age, auth, seen } from "./watched.js";

const signIn = `${page.prefix}/?next=/profile`;
const DAY = 86400;
let timer;

function span(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 2 * DAY ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / DAY)} days`;
}
function follow({ status, user, session, error }) {
  if (status === "signed-out") return leaveFor(signIn);
  at("error").textContent = error ? trouble(error) : "";
  if (!user) return;
  at("email").textContent = user.email;
  at("roles").textContent = user.roles.join(", ") || "none";
  at("since").textContent = moment(read(session, "created_at"));
  tick();
  at("wait").hidden = true;
  at("facts").hidden = false;
}
function tick() {
  at("life").textContent = `${span(Math.max(0, Math.round(seen.life - age())))} left`;
  at("renewed").textContent = seen.count === 1 ? "once" : `${seen.count} times`;
}
// The client leaves the modes alone whose sessions any request renews. This page is in use while somebody looks at it.
const renew = () => auth.refresh().then(again, again);
function again() {
  clearTimeout(timer);
  if (["session", "jwt_cookie"].includes(page.mode)) timer = setTimeout(renew, Math.min(seen.life || 2, DAY) * 800);
}

setInterval(tick, 250);
at("renew").addEventListener("click", ({ target }) => busy(target, renew));
at("sign-out").addEventListener("click", ({ target }) => busy(target, () => auth.signOut()));
auth.onChange(follow);
follow(await auth.ready);
again();
