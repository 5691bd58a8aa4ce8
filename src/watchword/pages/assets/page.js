// What the server says to every page of ours: where the routes are, and the messages in the visitor's language.

export const page = JSON.parse(document.getElementById("page").textContent);

export const at = (id) => document.getElementById(id);

/** A message by its name, such as "errors.wait", with {words} filled in; "" if there is none. */
export function say(name, words = {}) {
  const [section, key] = name.split(".");
  const text = page.messages[section]?.[key] ?? "";
  return text.replace(/\{(\w+)\}/g, (whole, word) => words[word] ?? whole);
}

/** Puts a message into an element, {words} being elements. */
export function show(element, name, words) {
  const parts = say(name).split(/(\{\w+\})/).map((part) => words[part.slice(1, -1)] ?? part);
  element.replaceChildren(...parts);
}

/** Shows one part of the page and hides the others. */
export function only(name) {
  for (const part of document.querySelectorAll("[data-part]")) part.hidden = part.dataset.part !== name;
  if (at("wait")) at("wait").hidden = true;
}

// Keys as this server is set to write them.
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
export const key = (name) => (page.camel ? camel(name) : name);
export const read = (body, name) => body[key(name)];

/** Seconds in words: "28 seconds", "10 minutes". */
export function span(seconds) {
  const [count, unit] = seconds < 100 ? [Math.max(1, Math.round(seconds)), "second"]
    : seconds < 5400 ? [Math.round(seconds / 60), "minute"] : [Math.round(seconds / 3600), "hour"];
  return new Intl.NumberFormat(page.lang, { style: "unit", unit, unitDisplay: "long" }).format(count);
}

export const day = (instant) => new Intl.DateTimeFormat(page.lang, { dateStyle: "medium" }).format(new Date(instant));
export const moment = (instant) =>
  new Intl.DateTimeFormat(page.lang, { dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** How long ago, in words: "5 minutes ago". Past a week, the day. */
export function ago(instant) {
  const seconds = (Date.now() - new Date(instant)) / 1000;
  if (seconds > 7 * 86400) return day(instant);
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["second", Infinity];
  const words = new Intl.RelativeTimeFormat(page.lang, { numeric: "auto" });
  return words.format(-Math.floor(Math.max(0, seconds) / length) || 0, unit);
}

/** Leaves for another page as soon as there is a network to get it by. */
export function leaveFor(path) {
  if (navigator.onLine) location.replace(path);
  else addEventListener("online", () => location.replace(path), { once: true });
}
