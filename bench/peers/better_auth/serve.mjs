/*
better-auth on bare node:http with its SQLite adapter (Kysely over better-sqlite3): `node serve.mjs SOCKET`.

- guard: `auth.api.getSession`. With its cookie cache on, the signed copy of session and user in a cookie is verified
  (HMAC-SHA256) and no database asked; who was signed out passes until that copy expires, in 5 minutes. Without it, the
  rows of the session and of the user are read, each request.
- refresh: `GET /get-session` with `updateAge: 0` and no cookie cache: reads session and user, moves the session's end
  on (one write), sets the cookie anew. The token stays the same: nothing rotates.
- login: reads the user and the account, verifies scrypt (N=16384, r=16), writes a session.

SQLite is in WAL mode with synchronous=FULL; its calls block Node's event loop, as better-sqlite3 does. Rate limits are
off, as ours are while we measure. Answers are written with their length, where better-auth's own handler for Node would
stream them in chunks.
*/
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { fromNodeHeaders } from "better-auth/node";
import { getMigrations } from "better-auth/db/migration";
import Database from "better-sqlite3";

const ORIGIN = "http://127.0.0.1:8000";
const { PEER_SECRET, PEER_DATABASE, PEER_PEOPLE, PEER_PASSWORD, PEER_CACHE, PEER_UPDATE_AGE } = process.env;

const database = new Database(PEER_DATABASE);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
const options = {
  database,
  secret: PEER_SECRET,
  baseURL: ORIGIN,
  basePath: "/auth",
  emailAndPassword: { enabled: true },
  session: { updateAge: Number(PEER_UPDATE_AGE), cookieCache: { enabled: PEER_CACHE === "on", maxAge: 300 } },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
};
const auth = betterAuth(options);
await (await getMigrations(options)).runMigrations();
for (let number = 0; number < Number(PEER_PEOPLE); number += 1) {
  const email = `user${number}@example.com`;
  await auth.api.signUpEmail({ body: { name: email, email, password: PEER_PASSWORD } });
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function answer(response, status, headers, text) {
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(text) });
  response.end(text);
}

async function item(request, response) {
  const found = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) });
  if (found === null) return answer(response, 401, {}, "");
  const text = JSON.stringify({ id: found.user.id.padEnd(36, "0") });
  answer(response, 200, { "content-type": "application/json" }, text);
}

async function ours(request, response) {
  const body = request.method === "POST" ? await bodyOf(request) : undefined;
  const asked = new Request(ORIGIN + request.url, {
    method: request.method,
    headers: fromNodeHeaders(request.headers),
    body,
  });
  const made = await auth.handler(asked);
  const headers = { "content-type": "application/json", "set-cookie": made.headers.getSetCookie() };
  answer(response, made.status, headers, await made.text());
}

const server = createServer((request, response) => {
  const route = request.url === "/item" ? item : ours;
  route(request, response).catch((error) => {
    console.error(error);
    answer(response, 500, {}, "");
  });
});
server.keepAliveTimeout = 600_000;
server.listen({ fd: Number(process.argv[2]) });
