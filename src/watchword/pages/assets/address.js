// Another address becomes the account's, by the link that was sent there and a press of the button.

import { submits } from "./form.js";
import { forget, onLink, theToken } from "./link.js";
import { auth } from "./login.js";
import { at, only, say } from "./page.js";

const form = at("form");

function over(why) {
  forget();
  only("over");
  at("why").textContent = why;
}
submits(form, async () => {
  await auth.call("POST", "/email/verify", { token: theToken() });
  forget();
  only("done");
  at("told").textContent = say("here.done");
  document.querySelector("[data-part=done] .button").focus();
}, {
  settled({ code }) {
    if (code === "challenge_expired") over(say("here.over"));
    return code === "challenge_expired";
  },
});
onLink((brought) => {
  if (!brought) return over(say("here.cut"));
  only("form");
  form.querySelector("button").focus();
});
