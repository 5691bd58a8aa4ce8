// A document's whole story, told by its client over fetch and over Axios: sign in, use, expire, renew, reload, sign
// out. Prints what happened, by client.
import "./here.mjs";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

import { axiosClient } from "./axios_client.mjs";
import { CONTRACTS } from "./contracts.mjs";
import { fetchClient } from "./fetch_client.mjs";
import { Jar, Page } from "./jar.mjs";
import { Mailbox } from "./mailbox.mjs";

const told = JSON.parse(await text(process.stdin));
const contract = CONTRACTS[told.name];
const credentials = [told[contract.who], told.password];
const mailbox = new Mailbox(told.mailbox);

async function story(make) {
  const storage = {}; // what outlives a page besides its cookies
  const jar = new Jar();
  const open = () => {
    const page = new Page(told.page, jar);
    return { page, client: make({ url: told.url, fetch: page.fetch, contract, storage }) };
  };
  const { page, client } = open();
  const refreshes = () => page.calls.filter((call) => call === `POST ${contract.refresh}`).length;
  const statuses = (...calls) => Promise.all(calls.map(status));

  const stranger = await status(client.request("GET", "/profile"));
  const asked = refreshes();
  const { answer, halfway } = await signIn(client, page, jar);
  const cookies = jar.names;
  const profile = await client.request("GET", "/profile");
  const posted = await client.request("POST", "/data", { color: "green" });
  const needless = refreshes() - asked;
  const first = client.accessToken;
  await sleep(told.expired_after * 1000);

  const expired = await asBefore(page, first);
  const get = () => client.request("GET", "/profile");
  const renewed = await statuses(get(), get(), get());
  const flights = page.most.get(`POST ${contract.refresh}`) ?? 0;

  // Two tabs that the browser restores at once: each has lost its memory, and knows nothing of the other.
  const tabs = [open(), open()];
  const boots = await statuses(...tabs.map(({ client: tab }) => (contract.refresh ? tab.refresh() : undefined)));
  const reloaded = await statuses(...tabs.map(({ client: tab }) => tab.request("GET", "/profile")));

  const stolen = new Page(told.page, jar.copy());
  const last = client.accessToken;
  const goodbye = await client.logout();
  return {
    ...{ stranger, halfway, tokens: scripted(answer), cookies, profile: profile.data, posted: posted.data },
    ...{ needless, expired, renewed, flights, boots, reloaded, goodbye, left: jar.names, memory: client.accessToken },
    refused: await status(get()),
    revoked: await asBefore(stolen, last),
    gone: contract.refresh ? await status(open().client.refresh()) : null,
  };
}

// What the sign-in is answered in the end, and what its first step was worth, if there is a second.
async function signIn(client, page, jar) {
  if (!contract.code) return { answer: await client.login(...credentials), halfway: null };
  const { answer: asked, code } = await mailbox.after(() => client.login(...credentials));
  const halfway = { step: asked.next.step, tokens: scripted(asked), cookies: jar.names };
  halfway.profile = await asBefore(page, client.accessToken);
  return { answer: await client.enter(code), halfway };
}

// What a call comes to: a status, refused or not.
async function status(call) {
  try {
    return (await call)?.status ?? 200;
  } catch (error) {
    if (!error.response) throw error;
    return error.response.status;
  }
}

// The status of a call with the cookies of a page and an access token as it is, by no client's help.
async function asBefore(page, token) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  return (await page.fetch(`${told.url}/profile`, { credentials: "include", headers })).status;
}

// The keys under which an answer shows tokens to scripts.
function scripted(answer) {
  return Object.keys(answer).filter((key) => /token$/i.test(key)).sort();
}

const [fetched, axioed] = await Promise.all([story(fetchClient), story(axiosClient)]);
console.log(JSON.stringify({ fetch: fetched, axios: axioed }));
