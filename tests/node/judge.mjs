// What the guide's verifier makes of tokens, one after another: the claims of each, or null for one that it refuses.
import { text } from "node:stream/consumers";

import { errors } from "jose";

import { accessTokens } from "./verify.mjs";

const { issuer, algorithm, tokens } = JSON.parse(await text(process.stdin));
const verify = accessTokens(issuer, algorithm);
const verdicts = [];
for (const token of tokens) {
  try {
    verdicts.push(await verify(token));
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    verdicts.push(null);
  }
}
console.log(JSON.stringify(verdicts));
