// The bearer client of a tutorial, twice: a wrapper around fetch, and axios with a default header. The token that
// POST /login answers is kept in memory; each request says it by itself.
import "./here.mjs";
import axios from "axios";
import { readFileSync } from "node:fs";

const { url, email, password } = JSON.parse(readFileSync(0, "utf8"));

let token = null;
const api = async (path, { body, ...rest } = {}) => {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(url + path, { ...rest, headers, ...(body && { body: JSON.stringify(body) }) });
  return { status: answer.status, data: await answer.json() };
};

const http = axios.create({ baseURL: url, validateStatus: () => true });
const seen = async (call) => (({ status, data }) => ({ status, data }))(await call);

const fetched = [await api("/profile")];
({ token } = (await api("/login", { method: "POST", body: { email, password } })).data);
fetched.push(await api("/profile"), await api("/data", { method: "POST", body: { a: 1 } }));
fetched.push(await api("/logout", { method: "POST" }), await api("/profile"));

const asked = [await seen(http.get("/profile"))];
const signedIn = await http.post("/login", { email, password });
http.defaults.headers.common.Authorization = `Bearer ${signedIn.data.token}`;
asked.push(await seen(http.get("/profile")), await seen(http.post("/data", { a: 1 })));
asked.push(await seen(http.post("/logout")), await seen(http.get("/profile")));

console.log(JSON.stringify({ fetch: fetched, axios: asked }));
