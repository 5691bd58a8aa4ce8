// The last step of `npm run lock`, after a change of versions: npm leaves download hosts out of package-lock.json
// (see .npmrc), but not the pages of those who ask for funding. What stays is versions and integrity hashes.
import { readFileSync, writeFileSync } from "node:fs";

const file = "package-lock.json"; // of the folder that npm runs this for
const lock = JSON.parse(readFileSync(file, "utf8"));
for (const entry of Object.values(lock.packages)) delete entry.funding;
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
