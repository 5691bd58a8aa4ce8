"""A WSGI app whose pages are for the signed-in; `watchword serve` signs them in, behind the same origin."""

import functools
import json
from collections.abc import Callable, Iterable

from watchword import Principal, Watchword
from watchword.errors import Problem
from watchword.wsgi import Environ, StartResponse, current_user, refuse

auth = Watchword()  # WATCHWORD_* from the environment
running = auth.running()

Answer = Iterable[bytes]
Page = Callable[[Environ, StartResponse, Principal], Answer]


def signed_in(page: Page) -> Callable[[Environ, StartResponse], Answer]:
    """The page gets the principal; whoever is not signed in gets a problem document."""

    @functools.wraps(page)
    def guarded(environ: Environ, start_response: StartResponse) -> Answer:
        try:
            return page(environ, start_response, current_user(auth, environ))
        except Problem as problem:
            return refuse(auth, problem, environ, start_response)

    return guarded


@signed_in
def profile(environ: Environ, start_response: StartResponse, user: Principal) -> Answer:
    return answer(start_response, {"id": user.id, "roles": user.roles})


@signed_in
def address(environ: Environ, start_response: StartResponse, user: Principal) -> Answer:
    row = running.run(auth.users.get(user.id), timeout=5)  # what asks the database runs in the loops' thread
    return answer(start_response, {"email": row.email})


@signed_in
def missing(environ: Environ, start_response: StartResponse, user: Principal) -> Answer:
    return answer(start_response, {}, "404 Not Found")


PAGES = {"/profile": profile, "/address": address}


def app(environ: Environ, start_response: StartResponse) -> Answer:
    return PAGES.get(environ["PATH_INFO"], missing)(environ, start_response)


def answer(start_response: StartResponse, value: object, status: str = "200 OK") -> Answer:
    start_response(status, [("content-type", "application/json"), ("cache-control", "no-store")])
    return [json.dumps(value).encode()]
