// A new password, by the link of a mail.

import { reveals, submits } from "./form.js";
import { forget, onLink, theToken } from "./link.js";
import { auth } from "./login.js";
import { at, key, only, say } from "./page.js";

const form = at("form");

function over(why) {
  forget();
  only("over");
  at("why").textContent = why;
}
submits(form, async ({ password }) => {
  await auth.call("POST", "/password/reset", { token: theToken(), [key("new_password")]: password.value });
  forget();
  form.reset();
  only("done");
  at("told").textContent = say("here.done");
  document.querySelector("[data-part=done] .button").focus();
}, {
  settled({ code }) {
    if (code === "challenge_expired") over(say("here.over"));
    return code === "challenge_expired";
  },
});
reveals();
onLink((brought) => {
  if (!brought) return over(say("here.cut"));
  only("form");
  form.password.focus();
});
