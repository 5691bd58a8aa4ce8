// Prints what it was given, so that the way in and out can be tested; or fails in the way that its first word names.
import { text } from "node:stream/consumers";

const words = process.argv.slice(2);
const stdin = JSON.parse(await text(process.stdin));
if (words[0] === "fail") throw new Error("as it was asked to");
if (words[0] === "hang") setInterval(() => {}, 1000);
else if (words[0] === "babble") console.log("no JSON");
else console.log(JSON.stringify({ words, stdin, env: process.env.ECHO }));
