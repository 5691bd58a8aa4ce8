// The documents' client over fetch: cookies sent with credentials; the access token, if scripts see it, in memory
// alone; on a 401 one refresh for all callers, and one retry.

export function fetchClient({ url, fetch, contract, storage }) {
  let accessToken = null;
  let refreshing = null;

  async function send(method, path, body) {
    const headers = {};
    if (accessToken) headers.authorization = `Bearer ${accessToken}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await fetch(url + path, { method, credentials: "include", headers, body: JSON.stringify(body) });
    const response = { status: answer.status, data: await answer.json() };
    if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status}`), { response });
    return response;
  }

  function take(data) {
    if (contract.token) accessToken = data[contract.token];
    if (contract.keeps) storage[contract.keeps] = data[contract.keeps];
  }

  // What a client must bring that keeps its refresh token itself; a cookie comes along unasked.
  const kept = () => (contract.keeps ? { [contract.keeps]: storage[contract.keeps] } : undefined);

  function refresh() {
    refreshing ??= send("POST", contract.refresh, kept())
      .then(({ data }) => take(data))
      .finally(() => (refreshing = null));
    return refreshing;
  }

  async function request(method, path, body) {
    try {
      return await send(method, path, body);
    } catch (error) {
      if (error.response?.status !== 401 || !contract.refresh) throw error;
      await refresh();
      return send(method, path, body);
    }
  }

  return {
    request,
    refresh,
    get accessToken() {
      return accessToken;
    },
    async login(name, password) {
      const { data } = await send("POST", contract.login, { [contract.who]: name, password });
      take(data);
      return data;
    },
    async enter(code) {
      const { data } = await send("POST", contract.code, { code });
      take(data);
      return data;
    },
    async logout() {
      try {
        return (await send("POST", contract.logout, kept())).data;
      } finally {
        accessToken = null;
        delete storage[contract.keeps];
      }
    },
  };
}
