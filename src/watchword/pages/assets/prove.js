// Proving again that it is you, in place: what was asked for waits behind a dialog and goes on when the proof was taken.

import { digits, submits } from "./form.js";
import { auth } from "./login.js";
import { at, read, say, span } from "./page.js";
import { trouble } from "./trouble.js";

const dialog = at("prove"), byPassword = at("prove-password"), byCode = at("prove-code");
const toCode = at("prove-by-code");
/** What to do with the answer of whoever waits for the proof. */
let proved = null;

/** Whether a proof was given. False: somebody thought better of it. */
function prove() {
  byPassword.username.value = auth.user.email;
  toCode.hidden = Boolean(read(auth.user, "two_factor")) || !read(auth.user, "email_verified");
  ask(byPassword);
  dialog.showModal();
  byPassword.proof.focus();
  return new Promise((resolve) => { proved = resolve; });
}
function ask(form) {
  byPassword.hidden = form !== byPassword;
  byCode.hidden = form !== byCode;
  for (const each of [byPassword, byCode]) each.querySelector("[role=alert]").textContent = "";
  form.reset();
  byPassword.username.value = auth.user.email;
}
function end(whether) {
  proved?.(whether);
  proved = null;
  if (dialog.open) dialog.close();
  byPassword.reset();
  byCode.reset();
}

/** `work`, once more after a proof if the server asks for one. Undefined when somebody thought better of it. */
export async function withProof(work) {
  try {
    return await work();
  } catch (error) {
    if (error.code !== "reauthentication_required") throw error;
    return (await prove()) ? work() : undefined;
  }
}

submits(byPassword, async ({ password }) => {
  await auth.call("POST", "/reauthenticate", { password: password.value });
  end(true);
}, { instead: { invalid_credentials: "prove.wrong" } });
submits(byCode, async ({ code }) => {
  await auth.call("POST", "/reauthenticate", { code: digits(code.value) });
  end(true);
});
toCode.addEventListener("click", async () => {
  const alert = byPassword.querySelector("[role=alert]");
  alert.textContent = "";
  try {
    const sent = await auth.call("POST", "/reauthenticate/code", {});
    ask(byCode);
    at("prove-sent").textContent = say("prove.code_sent", { email: auth.user.email, span: span(read(sent, "expires_in")) });
    byCode.code.focus();
  } catch (error) {
    alert.textContent = trouble(error, { forbidden: "prove.not_by_code" });
  }
});
at("prove-by-password").addEventListener("click", () => {
  ask(byPassword);
  byPassword.proof.focus();
});
for (const button of dialog.querySelectorAll("[data-cancels]")) button.addEventListener("click", () => end(false));
dialog.addEventListener("close", () => end(false)); // Escape
