// The documents' client over Axios: the access token, if scripts see it, in memory alone; interceptors that add it, and
// on a 401 refresh once for all callers and retry once.
import axios from "axios";

// With `faulty`, sign-in and refresh go through the instance that is intercepted, as one document has it: the 401 of a
// refresh then waits for the refresh that it is the answer to.
export function axiosClient({ url, fetch, contract, storage, faulty = false }) {
  const options = { baseURL: url, withCredentials: true, adapter: "fetch", env: { fetch } };
  const api = axios.create(options);
  const plain = faulty ? api : axios.create(options);
  let accessToken = null;
  let refreshing = null;

  const setAccessToken = (token) => (accessToken = token ?? null);

  function take(data) {
    if (contract.token) setAccessToken(data[contract.token]);
    if (contract.keeps) storage[contract.keeps] = data[contract.keeps];
  }

  const kept = () => (contract.keeps ? { [contract.keeps]: storage[contract.keeps] } : {});

  function refresh() {
    refreshing ??= plain
      .post(contract.refresh, kept())
      .then(({ data }) => take(data))
      .finally(() => (refreshing = null));
    return refreshing;
  }

  api.interceptors.request.use((config) => {
    if (!accessToken) return config;
    config.headers.set("Authorization", `Bearer ${accessToken}`);
    config.headers.set("X-User-Id", subject(accessToken));
    return config;
  });

  api.interceptors.response.use(undefined, async (error) => {
    const { config, response } = error;
    if (response?.status !== 401 || config._retry || !contract.refresh) throw error;
    config._retry = true;
    await refresh();
    return api(config);
  });

  return {
    refresh,
    setAccessToken,
    request: (method, path, data) => api.request({ method, url: path, data }),
    get accessToken() {
      return accessToken;
    },
    async login(name, password) {
      const { data } = await plain.post(contract.login, { [contract.who]: name, password });
      take(data);
      return data;
    },
    async enter(code) {
      const { data } = await plain.post(contract.code, { code });
      take(data);
      return data;
    },
    async logout() {
      try {
        return (await api.post(contract.logout, kept())).data;
      } finally {
        setAccessToken(null);
        delete storage[contract.keeps];
      }
    },
  };
}

// Whom a JWT names; what cannot be read names nobody.
function subject(token) {
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(payload)).sub;
  } catch {
    return undefined;
  }
}
