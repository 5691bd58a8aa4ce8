// Where somebody is signed in, and ending it.

import { busy } from "./form.js";
import { auth } from "./login.js";
import { ago, at, day, read, say } from "./page.js";
import { withProof } from "./prove.js";
import { trouble } from "./trouble.js";

const list = at("device-list"), told = at("devices-told"), wrong = at("devices-error"), others = at("end-others");

/** «Firefox on Linux», in words of the visitor's language. */
function called(label) {
  const [, browser, system] = /^(.+) on (.+)$/.exec(label) ?? [];
  if (system) return say("here.device", { browser, system });
  return label === "Unknown device" ? say("here.device_unknown") : label;
}

export async function showDevices() {
  try {
    const { sessions } = await auth.call("GET", "/sessions");
    sessions.sort((one, other) => other.current - one.current);
    list.replaceChildren(...sessions.map(row));
    others.hidden = sessions.length < 2;
    at("no-others").hidden = sessions.length > 1;
  } catch (error) {
    wrong.textContent = trouble(error);
  }
}
function row(session) {
  const item = at("device").content.cloneNode(true).firstElementChild, name = called(session.label);
  const when = say("here.used", { when: ago(read(session, "last_used_at")) });
  const began = say("here.began", { date: day(read(session, "created_at")) });
  item.classList.toggle("mobile", /iPhone|Android/.test(session.label));
  item.querySelector("strong").textContent = name;
  item.querySelector("small").textContent = [session.ip, when, began].filter(Boolean).join(" · ");
  item.querySelector(".tag").hidden = !session.current;
  const button = item.querySelector("button");
  button.hidden = session.current;
  button.ariaLabel = say("here.end_device", { device: name });
  button.addEventListener("click", () => end(button, `/sessions/${session.id}`, say("here.ended_device", { device: name })));
  return item;
}
function end(button, path, done) {
  return busy(button, async () => {
    told.textContent = wrong.textContent = "";
    try {
      if (await withProof(() => auth.call("DELETE", path)) === undefined) return button.focus();
      told.textContent = done;
    } catch (error) {
      if (error.code === "not_found") told.textContent = say("here.device_gone");
      else wrong.textContent = trouble(error);
      if (error.code !== "not_found") return button.focus();
    }
    await showDevices();
    told.focus(); // the button is gone with its row
  });
}
others.addEventListener("click", () => end(others, "/sessions", say("here.ended_others")));
