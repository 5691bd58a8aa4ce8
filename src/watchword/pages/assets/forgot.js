// Asking for a link to set a new password: the same words whoever's the address is.

import { submits } from "./form.js";
import { auth } from "./login.js";
import { at, only, say } from "./page.js";

submits(at("form"), async ({ email }) => {
  await auth.call("POST", "/password/forgot", { email: email.value.trim() });
  only("done");
  at("told").textContent = say("here.sent");
  at("told").focus();
});
