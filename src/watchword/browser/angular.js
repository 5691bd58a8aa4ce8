// An interceptor for Angular's HttpClient: requests are signed in, and sent again after a renewal.

/** @import { HttpInterceptorFn } from "@angular/common/http" */
/** @import { Auth, Ticket } from "./types.js" */

import { catchError, from, switchMap, throwError } from "rxjs";

/**
 * `provideHttpClient(withInterceptors([attachAngular(auth)]))`. Requests to other origins stay as they are. Where nobody
 * can tell whether the session goes on, a request fails with an AuthError instead of the 401.
 *
 * @param {Auth} auth
 * @returns {HttpInterceptorFn}
 */
export const attachAngular = (auth) => (request, next) => {
  /** @type {(earlier: Ticket | null) => ReturnType<HttpInterceptorFn>} */
  const send = (earlier) =>
    from(auth.prepare(request.urlWithParams, request.method, earlier)).pipe(
      switchMap((ticket) => {
        if (!ticket) return next(request);
        const headers = Object.entries(ticket.headers).filter(([name]) => !request.headers.has(name));
        const signed = request.clone({
          setHeaders: Object.fromEntries(headers),
          withCredentials: request.withCredentials || ticket.include,
        });
        return next(signed).pipe(
          catchError((error) =>
            from(auth.recover(ticket, error.status, error.error?.code)).pipe(
              switchMap((again) => (again ? send(ticket) : throwError(() => error))),
            ),
          ),
        );
      }),
    );
  return send(null);
};
