// The account: profile and address, password, second step, and its end. Devices and activity have files of their own.

import { showActivity } from "./activity.js";
import { showDevices } from "./devices.js";
import { busy, link, reveals, submits } from "./form.js";
import { auth } from "./login.js";
import { at, day, key, leaveFor, read, say } from "./page.js";
import { withProof } from "./prove.js";
import { trouble } from "./trouble.js";

const signIn = `${link("/")}?next=${link("/account")}`;
let factors = { factors: [], required: false }, whose = null, leaving = false;

function showUser({ email, username, roles, ...user }) {
  for (const id of ["email", "who-email"]) at(id).textContent = email;
  const verified = read(user, "email_verified");
  at("email-state").textContent = say(verified ? "here.verified" : "here.unverified");
  at("email-state").classList.toggle("good", verified);
  at("username").textContent = username ?? "";
  at("username-row").hidden = !username;
  at("roles").textContent = roles.join(", ");
  at("roles-row").hidden = !roles.length;
  at("since").textContent = day(read(user, "created_at"));
  at("password-owner").value = email;
}

async function showTwoStep() {
  try {
    factors = await auth.call("GET", "/factors");
  } catch (error) {
    at("two-step-error").textContent = trouble(error);
    return;
  }
  const [factor] = factors.factors, on = Boolean(factor) || factors.required;
  at("two-step-state").textContent = say(on ? "here.two_step_on" : "here.two_step_off");
  at("two-step-state").classList.toggle("good", on);
  const since = factor && say("here.two_step_since", { date: day(read(factor, "created_at")) });
  at("two-step-since").textContent = [factors.required && say("here.two_step_required"), since].filter(Boolean).join(" ");
  at("two-step-since").hidden = !on;
  at("two-step").textContent = say(factor ? "here.turn_off" : "here.turn_on");
  at("two-step").hidden = factors.required && !factor;
}

at("two-step").addEventListener("click", ({ target }) => busy(target, async () => {
  const [factor] = factors.factors, told = at("two-step-told"), wrong = at("two-step-error");
  told.textContent = wrong.textContent = "";
  try {
    const done = await withProof(() =>
      factor ? auth.call("DELETE", `/factors/${factor.id}`) : auth.call("POST", "/factors", { method: "email" }));
    if (done) {
      await auth.refresh(); // what is known of the user has changed
      told.textContent = say(factor ? "here.turned_off" : "here.turned_on");
    }
  } catch (error) {
    wrong.textContent = trouble(error, { forbidden: "here.not_offered" });
  }
  await Promise.all([showTwoStep(), showDevices(), showActivity()]);
  target.focus();
}));

// Forms that open below their button, and close again.
function opens(form, open) {
  const button = document.querySelector(`[data-opens=${form.id}]`);
  form.hidden = !open;
  button.hidden = open;
  button.ariaExpanded = String(open);
  if (open) form.querySelector("input:not([readonly])").focus();
  else {
    form.reset();
    form.querySelector("[role=alert]").textContent = "";
    button.focus();
  }
}
for (const button of document.querySelectorAll("[data-opens]"))
  button.addEventListener("click", () => opens(at(button.dataset.opens), true));
for (const button of document.querySelectorAll("[data-closes]"))
  button.addEventListener("click", () => opens(at(button.dataset.closes), false));

submits(at("address-form"), async ({ email }) => {
  const wanted = email.value.trim();
  at("profile-told").textContent = "";
  if (!(await withProof(() => auth.call("POST", "/email/change", { email: wanted })))) return;
  opens(at("address-form"), false);
  at("profile-told").textContent = say("here.address_sent", { email: wanted });
  await showActivity();
});
submits(at("password-form"), async ({ current_password: current, new_password: fresh }) => {
  at("password-told").textContent = "";
  await auth.call("POST", "/password/change", { [key("current_password")]: current.value, [key("new_password")]: fresh.value });
  opens(at("password-form"), false);
  at("password-told").textContent = say("here.password_done");
  await Promise.all([showDevices(), showActivity()]);
}, { instead: { invalid_credentials: "here.password_wrong" } });

at("delete-open").addEventListener("click", () => {
  at("sure-what").textContent = say("here.delete_sure", { email: auth.user.email });
  at("sure").returnValue = "no";
  at("sure").showModal();
});
at("sure").addEventListener("close", async () => {
  const button = at("delete-open"), wrong = at("delete-error");
  wrong.textContent = "";
  if (at("sure").returnValue !== "yes") return;
  await busy(button, async () => {
    try {
      leaving = true;
      if (!(await withProof(() => auth.user?.id === whose && auth.call("DELETE", "/me")))) return;
      await auth.signOut(); // other tabs hear of it
      for (const id of ["account", "whoami"]) at(id).hidden = true;
      at("gone").hidden = false;
      at("gone-told").focus();
    } catch (error) {
      wrong.textContent = trouble(error, { forbidden: "here.still_referenced" });
    } finally {
      leaving = !at("gone").hidden;
      if (!leaving) follow(auth.state); // what other tabs did behind the dialog
    }
  });
});
at("sign-out").addEventListener("click", ({ target }) => busy(target, () => auth.signOut()));

/** Whoever is signed in, here or by another tab; nobody; or no way to tell, which the client tries to end by itself. */
function follow({ status, user, error }) {
  if (leaving) return;
  if (status === "signed-out") {
    for (const id of ["account", "whoami", "wait"]) at(id).hidden = true;
    at("away").hidden = navigator.onLine;
    at("away").textContent = say("errors.signing_out");
    return leaveFor(signIn);
  }
  at("away").hidden = !error;
  if (error) at("away").textContent = `${trouble(error)} ${say("here.away")}`;
  if (!user) return;
  if (whose && whose !== user.id) return location.reload();
  showUser(user);
  if (whose) return;
  whose = user.id;
  for (const id of ["account", "whoami"]) at(id).hidden = false;
  at("wait").hidden = true;
  void Promise.all([showTwoStep(), showDevices(), showActivity()]);
}
reveals();
auth.onChange(follow);
follow(await auth.ready);
