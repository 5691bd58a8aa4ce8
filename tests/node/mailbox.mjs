// The codes that come by mail, read from the folder into which the tests' mail server puts messages: 1.eml, 2.eml …
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const SECONDS = 20;

export class Mailbox {
  #turn = Promise.resolve();

  constructor(folder) {
    this.folder = folder;
  }

  // What `ask` comes to, and the code that was sent for it. One at a time: nothing in a message tells two sign-ins of a
  // user apart.
  after(ask) {
    const asked = this.#turn.then(async () => {
      const before = await this.#count();
      const answer = await ask();
      return { answer, code: await this.#code(before + 1) };
    });
    this.#turn = asked.catch(() => undefined);
    return asked;
  }

  async #code(number) {
    const deadline = Date.now() + SECONDS * 1000;
    while ((await this.#count()) < number) {
      if (Date.now() > deadline) throw new Error(`message ${number} did not come within ${SECONDS} s`);
      await sleep(20);
    }
    const [, code] = (await readFile(join(this.folder, `${number}.eml`), "latin1")).match(/^\s+([0-9]{6})\s*$/m);
    return code;
  }

  async #count() {
    return (await readdir(this.folder)).filter((name) => name.endsWith(".eml")).length;
  }
}
