// An axios instance whose requests are signed in, and sent again after a renewal.

/** @import { AxiosInstance } from "axios" */
/** @import { Auth, Ticket } from "./types.js" */

/**
 * `attachAxios(axios.create({ baseURL: "/api" }), auth)`. Requests to other origins stay as they are. Where nobody can
 * tell whether the session goes on, a request rejects with an AuthError instead of the 401.
 *
 * @param {AxiosInstance} api
 * @param {Auth} auth
 * @returns {() => void} what detaches it
 */
export function attachAxios(api, auth) {
  const requests = api.interceptors.request.use(async (config) => {
    const earlier = ticketOf(config); // axios copies a request that is sent again, and what lies in it
    const ticket = await auth.prepare(api.getUri(config), config.method, earlier);
    if (!ticket) return config;
    for (const [name, value] of Object.entries(ticket.headers)) {
      const own = config.headers.get(name);
      if (!own || own === earlier?.headers[name]) config.headers.set(name, value);
    }
    if (ticket.include) config.withCredentials ??= true;
    return Object.assign(config, { watchword: ticket });
  });
  const responses = api.interceptors.response.use(undefined, async (error) => {
    const { config, response } = error;
    const data = config?.data;
    if (!response || data?.pipe || data?.getReader || data?.[Symbol.asyncIterator]) throw error; // sent once
    if (!(await auth.recover(ticketOf(config), response.status, response.data?.code))) throw error;
    return api.request(config);
  });
  return () => {
    api.interceptors.request.eject(requests);
    api.interceptors.response.eject(responses);
  };
}

/** @type {(config: any) => Ticket | null} */
const ticketOf = (config) => config?.watchword ?? null;
