// The client inside of axios, Angular's HttpClient and React: the libraries themselves, not doubles of them.
import "./packages.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

import "@angular/compiler";
import { HttpClient, provideHttpClient, withFetch, withInterceptors } from "@angular/common/http";
import { createEnvironmentInjector, Injector, NgZone, PLATFORM_ID, ɵINJECTOR_SCOPE as SCOPE } from "@angular/core";
import axios from "axios";
import { act, createElement } from "react";
import { renderToString } from "react-dom/server";
import { firstValueFrom } from "rxjs";

import { ADA, EVE, house, offline, problem, settle } from "./world.mjs";

const { attachAngular } = await import("../../../src/watchword/browser/angular.js");
const { attachAxios } = await import("../../../src/watchword/browser/axios.js");
const { SessionProvider, useAuth, useSession } = await import("../../../src/watchword/browser/react.js");

const REFRESH = "POST /auth/refresh";
const HERE = "https://app.example.com";

async function home(mode = "hybrid", settings = {}) {
  const all = house({ mode, ...settings });
  const tab = all.browser.open();
  await tab.auth.ready;
  await tab.auth.signIn(ADA);
  const before = all.server.count(REFRESH);
  return { ...all, ...tab, refreshes: () => all.server.count(REFRESH) - before };
}

// Each library's way to send something: a status and what came, whether it resolves or rejects.
const LIBRARIES = {
  axios({ auth, world }) {
    const api = axios.create({ baseURL: HERE, adapter: "fetch", env: { fetch: world.fetch } });
    const detach = attachAxios(api, auth);
    const ended = (call) => call.then(({ status, data }) => ({ status, data }), (error) => {
      if (!error.response) throw error;
      return { status: error.response.status, data: error.response.data };
    });
    return {
      detach,
      get: (url, headers) => ended(api.get(url, { headers })),
      post: (url, data) => ended(api.post(url, data)),
    };
  },
  angular({ auth, world }) {
    globalThis.fetch = world.fetch;
    const zone = { run: (work) => work(), runOutsideAngular: (work) => work() };
    const given = [
      { provide: SCOPE, useValue: "root" },
      { provide: PLATFORM_ID, useValue: "browser" },
      { provide: NgZone, useValue: zone },
      provideHttpClient(withFetch(), withInterceptors([attachAngular(auth)])),
    ];
    const injector = createEnvironmentInjector(given, Injector.NULL);
    const http = injector.get(HttpClient);
    const options = { observe: "response" };
    const ended = (call) => firstValueFrom(call).then(({ status, body }) => ({ status, data: body }), (error) => {
      if (!error.status) throw error;
      return { status: error.status, data: error.error };
    });
    const full = (url) => new URL(url, HERE).href;
    return {
      get: (url, headers) => ended(http.get(full(url), { ...options, headers })),
      post: (url, data) => ended(http.post(full(url), data, options)),
    };
  },
};

for (const [name, attach] of Object.entries(LIBRARIES)) {
  test(`${name}: requests are signed in, and renewed once for all that meet a 401`, async () => {
    for (const mode of ["cookies", "hybrid", "bearer"]) {
      const here = await home(mode);
      const api = attach(here);
      assert.deepEqual(await api.post("/profile", { a: 1 }), { status: 200, data: { email: ADA.email, body: { a: 1 } } });
      for (let index = 0; index < 3; index += 1) here.server.next("POST /profile", problem(401, "token_expired"));
      const all = await Promise.all([1, 2, 3].map((a) => api.post("/profile", { a })));
      assert.deepEqual(all.map(({ status, data }) => [status, data.body.a]), [[200, 1], [200, 2], [200, 3]]);
      assert.deepEqual([here.refreshes(), here.server.count("POST /profile")], [1, 7]);
      here.auth.close();
    }
  });

  test(`${name}: a 401 of /refresh rejects every caller with its own 401 (W1)`, { timeout: 5000 }, async () => {
    const here = await home();
    const api = attach(here);
    here.server.endAll();
    const all = await Promise.all([1, 2, 3].map(() => api.get("/profile")));
    assert.deepEqual(all.map(({ status }) => status), [401, 401, 401]);
    assert.deepEqual([here.refreshes(), here.auth.status], [1, "signed-out"]);
    assert.equal((await api.post("/auth/refresh", {})).status, 401, "nor does one that goes this way");
    assert.equal(here.refreshes(), 2);
  });

  test(`${name}: a wrong password renews nothing, a second 401 is final (W1)`, async () => {
    const here = await home();
    const api = attach(here);
    const { status, data } = await api.post("/auth/login", { ...EVE, password: "wrong" });
    assert.deepEqual([status, data.code, here.refreshes()], [401, "invalid_credentials", 0]);
    here.server.next("GET /profile", problem(401, "token_expired"), problem(401, "token_expired"));
    assert.equal((await api.get("/profile")).status, 401);
    assert.deepEqual([here.refreshes(), here.server.count("GET /profile")], [1, 2]);
  });

  test(`${name}: no answer to /refresh is an AuthError, and no sign-out`, async () => {
    const here = await home();
    const api = attach(here);
    here.server.next("GET /profile", problem(401, "token_expired"));
    here.server.next(REFRESH, offline, offline, offline, offline);
    await assert.rejects(here.clock.until(api.get("/profile")), { name: "AuthError", code: "unreachable" });
    assert.equal(here.auth.status, "signed-in");
  });

  test(`${name}: other origins see no token, and a header of the caller's own stays`, async () => {
    const here = await home();
    const api = attach(here);
    await api.get("https://evil.example.net/profile");
    assert.equal(here.server.calls.at(-1).headers.authorization, undefined);
    await api.get("/profile", { Authorization: "Basic abc" });
    assert.equal(here.server.calls.filter(({ call }) => call === "GET /profile")[1].headers.authorization, "Basic abc");
  });

  test(`${name}: a proof against forgery goes along, and is fetched again when it is refused`, async () => {
    const here = await home("cookies", { csrf: true });
    const api = attach(here);
    assert.equal((await api.post("/profile", {})).status, 200);
    here.server.next("POST /profile", problem(403, "csrf_rejected"));
    assert.equal((await api.post("/profile", {})).status, 200);
  });
}

test("axios: what was detached is as it was", async () => {
  const here = await home();
  const api = LIBRARIES.axios(here);
  api.detach();
  await api.get("/profile");
  assert.equal(here.server.calls.at(-1).headers.authorization, undefined);
});

test("React: a server renders that nothing is known yet", async () => {
  const { auth } = await home();
  const Page = () => JSON.stringify(useSession());
  const shown = renderToString(createElement(SessionProvider, { auth }, createElement(Page)));
  assert.deepEqual(JSON.parse(shown.replaceAll("&quot;", '"')), { data: null, isPending: true, error: null });
  assert.throws(() => renderToString(createElement(Page)), /no SessionProvider/);
});
