// Keeps a page signed in: one refresh in flight, one retry, the access token (where the mode has one) in memory only.
"use strict";
const session = (() => {
  const { prefix, mode, accessField, camel, csrf } = document.body.dataset;
  const key = (name) => camel === undefined ? name : name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  let token = null, timeout = 8, renewing = null;

  const remember = (body) => {
    token = body[key(accessField)] ?? null;
    timeout = body[key("refresh_timeout")];
    return body;
  };
  // What an unsafe request needs besides, where the server asks for it.
  async function proof(signal) {
    if (csrf === undefined) return {};
    const answer = await fetch(`${prefix}/csrf`, { signal });
    if (!answer.ok) throw new TypeError("no proof to be had"); // says nothing of the session
    return { "X-CSRF-Token": (await answer.json())[key("csrf_token")] };
  }
  const send = async (path, options = {}) => fetch(prefix + path, {
    ...options,
    headers: { ...options.headers, ...(options.method && await proof()), ...(token && { Authorization: `Bearer ${token}` }) },
  });
  // One step of a sign-in: its answer, and if that is the last one, signed in.
  async function step(path, body, headers) {
    const answer = await fetch(prefix + path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers, ...await proof() },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (answer.ok && told.session) remember(told);
    return told;
  }
  const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

  // The tokens' expires_in, or null when the session is over. Throws when neither can be told: only a 401 is an end.
  async function refresh() {
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const signal = AbortSignal.timeout(timeout * 1000);
      const answer = await fetch(`${prefix}/refresh`, { method: "POST", headers: await proof(signal), signal });
      if (answer.ok) return remember(await answer.json())[key("expires_in")];
      if (answer.status === 401) return null;
      // Both ask for another try with what the jar holds now: another tab has renewed, or changed who is signed in.
      if (answer.status !== 409 && answer.status !== 403) break;
      await pause(Number(answer.headers.get("retry-after")) || 1);
    }
    throw new TypeError("the server keeps us waiting");
  }
  const renew = () => (renewing ??= refresh().finally(() => { renewing = null; }));
  // Its answer, landing after a sign-in or sign-out, would put the old session's tokens back into the jar.
  const settled = () => renewing?.catch(() => null);

  return {
    key,
    renew,
    async call(path, options) {
      const answer = await send(path, options);
      return answer.status === 401 && await renew() !== null ? send(path, options) : answer;
    },
    async signIn(email, password) {
      await settled();
      return step("/login", { email, password }, { "X-Auth-Mode": mode });
    },
    // What a sign-in waits for: its cookie tells the server which one.
    verifyCode: (code) => step("/login/2fa", { code }),
    resendCode: () => step("/login/2fa/resend", {}),
    // A link for an address, and a new password by it; neither signs anybody in.
    forgot: (email) => step("/password/forgot", { email }),
    setPassword: (token, password) => step("/password/reset", { token, [key("new_password")]: password }),
    // An account, the proof that its address is one's own, and another link for that.
    signUp: (email, password) => step("/register", { email, password }),
    verifyAddress: (token, password) => step("/email/verify", { token, password }),
    anotherLink: (email) => step("/email/verify/resend", { email }),
    // Whether the server has ended the session. What this page holds is gone either way.
    async signOut() {
      await settled();
      try { return (await send("/logout", { method: "POST" })).ok; } catch { return false; } finally { token = null; }
    },
  };
})();
// What a page says when no answer came, and when it was a refusal.
const AWAY = "The server cannot be reached or is busy. Try again.";
const trouble = (body) => body.errors?.[0]?.message ?? body.detail;
