// Forms: sent once at a time, told what is wrong beside their button, nothing that was typed lost; passwords to be shown.

import { at, key, page } from "./page.js";
import { trouble } from "./trouble.js";

/** Runs `work` while `button` is busy; a second press meanwhile does nothing. */
export async function busy(button, work) {
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  try {
    return await work();
  } finally {
    button.ariaBusy = null;
  }
}

/**
 * Calls `send` with the form's fields whenever it is sent. What `send` throws is told in the form's alert, and the field
 * that it is about gets the focus. `settled` is told of an error first and returns true when it has told it elsewhere.
 */
export function submits(form, send, { instead = {}, settled = () => false } = {}) {
  const alert = form.querySelector("[role=alert]");
  const fields = [...form.querySelectorAll("input:not([readonly])")];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button:not([type=button])");
    return busy(button, async () => {
      hideAll(form);
      alert.textContent = "";
      for (const field of fields) field.removeAttribute("aria-invalid");
      try {
        await send(form.elements);
      } catch (error) {
        const text = trouble(error, instead);
        if (settled(error, text)) return;
        alert.textContent = text;
        const named = error.errors?.[0]?.field;
        const field = fields.find(({ name }) => name === named || key(name) === named) ?? worst(fields);
        if (error.status && error.status < 429) field?.setAttribute("aria-invalid", "true");
        (field ?? button).focus();
        field?.select();
      }
    });
  });
}

const worst = (fields) => fields.find(({ type }) => type === "password") ?? fields[0];

/** Presses of the buttons beside passwords. Text again before it is sent: so password managers know it. */
export function reveals() {
  for (const button of document.querySelectorAll(".reveal")) {
    const [label] = button.children, shown = label.textContent;
    const field = at(button.getAttribute("aria-controls"));
    const set = (visible) => {
      field.type = visible ? "text" : "password";
      button.ariaPressed = String(visible);
      label.textContent = visible ? button.dataset.hide : shown;
    };
    button.addEventListener("click", () => set(field.type === "password"));
    field.form.addEventListener("hide", () => set(false));
  }
}
const hideAll = (form) => form.dispatchEvent(new Event("hide"));

/** Six digits, whatever a mail program put between them. */
export const digits = (text) => text.replace(/\s/g, "");

export const link = (path) => page.prefix + path;
