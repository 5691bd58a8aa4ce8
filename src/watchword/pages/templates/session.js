// Keeps a page signed in: one refresh in flight, one retry, the access token (where the mode has one) in memory only.
"use strict";
const session = (() => {
  const { prefix, mode } = document.body.dataset;
  let token = null, timeout = 8, renewing = null;

  const remember = (body) => {
    token = body.access_token ?? null;
    timeout = body.refresh_timeout;
    return body;
  };
  const send = (path, options = {}) => fetch(prefix + path, {
    ...options,
    headers: { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) },
  });
  const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

  // The tokens' expires_in, or null when the session is over. Throws when the network is.
  async function refresh() {
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const answer = await fetch(`${prefix}/refresh`, { method: "POST", signal: AbortSignal.timeout(timeout * 1000) });
      if (answer.ok) return remember(await answer.json()).expires_in;
      if (answer.status === 401 || answer.status === 403) return null;
      await pause(Number(answer.headers.get("retry-after")) || 1);
    }
    throw new TypeError("the server keeps us waiting");
  }
  const renew = () => (renewing ??= refresh().finally(() => { renewing = null; }));

  return {
    renew,
    async call(path, options) {
      const answer = await send(path, options);
      return answer.status === 401 && await renew() !== null ? send(path, options) : answer;
    },
    async signIn(email, password) {
      await renewing?.catch(() => null); // its answer, landing later, would put the old session's token into the jar
      const answer = await fetch(`${prefix}/login`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Auth-Mode": mode },
        body: JSON.stringify({ email, password }),
      });
      const body = await answer.json();
      if (answer.ok && body.session) remember(body);
      return body;
    },
    // Whether the server has ended the session. What this page holds is gone either way.
    async signOut() {
      try { return (await send("/logout", { method: "POST" })).ok; } catch { return false; } finally { token = null; }
    },
  };
})();
