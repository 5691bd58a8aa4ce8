// Signing in: the password, perhaps a code, then on to where somebody came from. One silent refresh comes first, as a link
// from a mail brings no Strict cookie.

import { digits, busy, reveals, submits } from "./form.js";
import { auth } from "./login.js";
import { at, only, page, read, say, show, span } from "./page.js";
import { trouble } from "./trouble.js";

const form = at("form"), codeForm = at("code-form");
const error = at("error"), codeError = at("code-error"), resent = at("resent");
let greeted = null;

async function done() {
  if (page.next) location.assign(page.next);
  else welcome();
}
function welcome() {
  const who = document.createElement("strong");
  who.textContent = auth.user.email;
  show(at("who"), "here.signed_in", { who });
  greeted = auth.user.id;
  only("signed-in");
  document.querySelector("[data-part=signed-in] .button").focus();
}
function ask(why = "") {
  only("form");
  error.textContent = why;
  (form.email.value ? form.password : form.email).focus();
}
const tellSpan = (seconds) => { at("sent").textContent = say("here.code_sent", { span: span(seconds) }); };
function askForCode(step) {
  only("code");
  codeForm.reset();
  codeError.textContent = resent.textContent = "";
  if (step) tellSpan(read(step, "expires_in"));
  codeForm.code.focus();
}
/** Another tab was quicker. */
function met() {
  if (auth.user) welcome();
  return Boolean(auth.user);
}
/** A login that is over, or has no tries left, begins again. */
function over(error, text) {
  if (met()) return true;
  if (!["challenge_expired", "too_many_attempts"].includes(error.code)) return false;
  ask(text);
  return true;
}

submits(form, async ({ email, password }) => {
  at("unverified").replaceChildren();
  const { session, next } = await auth.signIn({ email: email.value.trim(), password: password.value });
  if (session) await done();
  else if (next.step === "two_factor") askForCode(next);
  else at("unverified").replaceChildren(at("how").content.cloneNode(true));
  password.value = "";
}, { settled: met });
submits(codeForm, async ({ code }) => {
  await auth.verifyCode(digits(code.value));
  await done();
}, { settled: over });
at("resend").addEventListener("click", ({ target }) => busy(target, async () => {
  codeError.textContent = resent.textContent = "";
  try {
    const sent = await auth.resendCode();
    resent.textContent = say("here.resent");
    tellSpan(read(sent, "expires_in"));
    codeForm.reset();
  } catch (error) {
    const text = trouble(error);
    if (over(error, text)) return;
    codeError.textContent = text;
  }
  codeForm.code.focus();
}));
at("back").addEventListener("click", ({ target }) => busy(target, async () => {
  await auth.signOut(); // a login that nobody means to complete
  ask();
}));
at("sign-out").addEventListener("click", ({ target }) => busy(target, async () => {
  const told = await auth.signOut();
  ask(told ? "" : say("errors.signing_out"));
}));

reveals();
const { status, error: away } = await auth.ready;
if (status === "signed-in") welcome();
else if (page.codeWaits) askForCode();
else ask(away ? trouble(away) : "");
// Another tab signs in, or out. What is sent here meanwhile has its own end.
auth.onChange(({ status, user }) => {
  const shown = !document.querySelector("[data-part=signed-in]").hidden;
  const sending = document.querySelector("form [aria-busy=true]:not([type=button])");
  if (status === "signed-out" && shown) ask();
  if (user && !sending && !(shown && user.id === greeted)) welcome();
});
