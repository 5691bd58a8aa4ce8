// What refusals are called in the visitor's language: by their code, else in the server's own words.

import { say, span } from "./page.js";

/**
 * What to tell of an error. `instead` names other messages for some codes. Throws what is no answer of the server's: that
 * is a fault of ours.
 */
export function trouble(error, instead = {}) {
  const { code, status, retryAfter } = error;
  if (code === undefined || status === undefined) throw error;
  if (instead[code]) return say(instead[code]);
  if (status === 0) return say(navigator.onLine ? "errors.unreachable" : "errors.offline");
  const soon = retryAfter && { span: span(retryAfter) };
  if (code === "too_many_attempts") return soon ? say("errors.too_many_attempts_for", soon) : say("errors.too_many_attempts");
  if (status === 429) return soon ? say("errors.wait", soon) : say("errors.rate_limited");
  if (status === 502 || status === 503 || status === 504) return retryAfter > 5 ? say("errors.busy_for", soon) : say("errors.busy");
  const [wrong] = error.errors;
  if (wrong) return ofField(wrong);
  return say(`errors.${code}`) || error.message;
}

function ofField({ field, code, message }) {
  const special = /password$/i.test(field) && say(`fields.${code}_password`);
  return special || say(`fields.${code}`) || message;
}
