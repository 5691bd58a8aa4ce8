// What the jar makes of Set-Cookie lines: for each case the Cookie header that a later request would carry.
import { text } from "node:stream/consumers";

import { Jar } from "./jar.mjs";

const cases = JSON.parse(await text(process.stdin));
const headers = cases.map(({ lines, from, to, sameSite = true }) => {
  const jar = new Jar();
  for (const line of lines) jar.take(line, new URL(from), sameSite);
  return jar.header(new URL(to), sameSite);
});
console.log(JSON.stringify(headers));
