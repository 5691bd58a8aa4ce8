// Browsers as in world.mjs, over real time, real sockets and a running server.
import { Jar, Page } from "../jar.mjs";
import { Browser } from "./world.mjs";

const CLOCK = {
  get seconds() {
    return performance.now() / 1000;
  },
  setTimeout: (work, milliseconds) => setTimeout(work, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer),
};

// One whose pages are of the server's origin. `page` tells the calls of all of them.
export function browserAt(url) {
  const jar = new Jar();
  const page = new Page(url, jar);
  return Object.assign(new Browser({ answer: (request) => page.fetch(request) }, CLOCK, `${url}/page`), { jar, calls: page.calls });
}
