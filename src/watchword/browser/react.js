// Who is signed in, for React: `<SessionProvider auth={auth}>` above, `useSession()` below.

/** @import { ReactNode } from "react" */
/** @import { Auth, Session, State, User } from "./types.js" */

import { createContext, createElement, useContext, useMemo, useSyncExternalStore } from "react";

const Context = createContext(/** @type {Auth | null} */ (null));

/** What a server renders, and a browser first. @type {State} */
const UNKNOWN = Object.freeze({ status: "pending", user: null, session: null, error: null });

/** @param {{ auth: Auth, children?: ReactNode }} props */
export const SessionProvider = ({ auth, children }) => createElement(Context.Provider, { value: auth }, children);

/** The client that the nearest SessionProvider was given. @returns {Auth} */
export function useAuth() {
  const auth = useContext(Context);
  if (!auth) throw new Error("There is no SessionProvider above this component.");
  return auth;
}

/**
 * `data` is null for nobody; `error` is why the last renewal failed, beside what was known before it.
 * @returns {{ data: { user: User, session: Session } | null, isPending: boolean, error: Error | null,
 *   refetch: () => Promise<void> }}
 */
export function useSession() {
  const auth = useAuth();
  const state = useSyncExternalStore(auth.onChange, () => auth.state, () => UNKNOWN);
  return useMemo(() => {
    const { status, user, session, error } = state;
    return {
      data: user && session && { user, session },
      isPending: status === "pending" && !error,
      error,
      refetch: () => auth.refresh().then(() => {}, () => {}), // `error` tells
    };
  }, [auth, state]);
}
