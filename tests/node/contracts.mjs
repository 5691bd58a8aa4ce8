// What each document's client knows of its server: the routes, and where the access token is if scripts see it. `who`
// is the field that names the user; `keeps` the answer's key of a refresh token that the client stores by itself; and
// `code` the route that takes a code, where a sign-in is of two steps.
const auth = { who: "email", login: "/auth/login", logout: "/auth/logout" };
const root = { who: "email", login: "/login", logout: "/logout" };

export const CONTRACTS = {
  S0: { ...auth, who: "username" },
  S1: { ...auth, refresh: "/auth/refresh", token: "accessToken" },
  S2: { ...auth, refresh: "/auth/refresh", token: "access_token" },
  S3: { ...auth, login: "/auth/login/credentials", code: "/auth/login/2fa", refresh: "/auth/refresh" },
  "S4 bearer": { ...root, refresh: "/refresh", token: "token", keeps: "refresh_token" },
  "S4 cookie": root,
  "S4 session": root,
};
