// Signing up. The same words whoever's the address is: the mail tells its owner, and this page tells nobody.

import { reveals, submits } from "./form.js";
import { auth } from "./login.js";
import { at, only, say } from "./page.js";

const form = at("form"), told = at("told");

submits(form, async ({ email, password }) => {
  await auth.call("POST", "/register", { email: email.value.trim(), password: password.value });
  told.textContent = say("here.sent", { email: email.value.trim() });
  form.reset();
  only("done");
  told.focus();
});
reveals();
form.email.focus();
