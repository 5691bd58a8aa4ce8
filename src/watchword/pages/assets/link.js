// What links of our mails bring after their #: taken out of the address bar at once, as what stands there is kept in
// histories and shown on screens, and held in this page's memory until it is used.

let token = "";

/** Calls `arrived` with whether there is a token, now and whenever another link is opened over this page. */
export function onLink(arrived) {
  function take() {
    const brought = location.hash.slice(1);
    if (brought) {
      token = brought;
      history.replaceState(null, "", location.pathname);
    }
    arrived(token !== "");
  }
  addEventListener("hashchange", take);
  take();
}

export const theToken = () => token;
export const forget = () => { token = ""; };
