// Who signed up confirms the address, by the link of our mail and the password that they chose; or asks for another link.

import { reveals, submits } from "./form.js";
import { forget, onLink, theToken } from "./link.js";
import { auth } from "./login.js";
import { at, only, say } from "./page.js";

const form = at("form"), another = at("another"), why = at("why"), perhaps = at("perhaps");

function askFor(reason, over = false) {
  forget();
  only("another");
  why.textContent = reason;
  perhaps.hidden = !over;
  (over ? perhaps.querySelector("a") : another.email).focus();
}
submits(form, async ({ password }) => {
  await auth.call("POST", "/email/verify", { token: theToken(), password: password.value });
  forget();
  form.reset();
  only("done");
  at("told").textContent = say("here.done");
  document.querySelector("[data-part=done] .button").focus();
}, {
  instead: { invalid_credentials: "here.wrong" },
  settled({ code }) {
    if (code === "challenge_expired") askFor(say("here.over"), true);
    return code === "challenge_expired";
  },
});
submits(another, async ({ email }) => {
  await auth.call("POST", "/email/verify/resend", { email: email.value.trim() });
  another.reset();
  why.textContent = say("here.another_sent");
});
reveals();
onLink((brought) => {
  if (!brought) return askFor(say("here.open_link"));
  only("form");
  form.password.focus();
});
