"""Putting routes together into one ASGI app whose every failure is a problem document, and describing them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from watchword.errors import BadRequest, InternalError, InvalidRequest, MethodNotAllowed, NotFound, Problem
from watchword.http.problem import Receive, Scope, Send
from watchword.routing.answers import ProblemDocument, answers, problem_response
from watchword.routing.bodies import field_errors


class PlainRoute(Route):
    """A POST route without FastAPI's machinery in its way; its OpenAPI entry is given by hand."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        *,
        summary: str,
        tag: str,
        body: type[BaseModel],
        answer: type[BaseModel],
        problems: Sequence[type[Problem]],
    ) -> None:
        super().__init__(path, endpoint, methods=["POST"])
        self.models: tuple[type[BaseModel], ...] = (body, answer)
        self.operation = {
            "tags": [tag],
            "summary": summary,
            "operationId": endpoint.__name__ + path.replace("/", "_"),
            "requestBody": {"required": False, "content": {"application/json": {"schema": _ref(body)}}},
            "responses": {
                "200": {
                    "description": (answer.__doc__ or "").strip(),
                    "content": {"application/json": {"schema": _ref(answer)}},
                },
                **{str(status): entry for status, entry in answers(*problems).items()},
            },
        }


class OurRoutes:
    """The plain routes, with nothing around them, in front of an app of all routes, which answers the rest."""

    def __init__(self, app: FastAPI, *, docs: str) -> None:
        self._app = app
        self.routes = app.routes
        self._plain = [route for route in app.routes if isinstance(route, PlainRoute)]
        self._docs = docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for route in self._plain:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                scope["route"] = route
                scope.update(child_scope)
                await self._answer(route, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, route: PlainRoute, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except Problem as problem:
            response = problem_response(problem, docs=self._docs)
        except HTTPException:
            raise  # of a middleware around us, such as the host's limit on bodies: its own to answer
        except Exception:
            await problem_response(InternalError(), docs=self._docs)(scope, receive, send)
            raise  # to the server's log
        await response(scope, receive, send)


def build(routers: Sequence[APIRouter], *, docs: str, prefix: str, version: str) -> OurRoutes:
    """One ASGI app of all routes, every failure of which is a problem document."""
    app = FastAPI(
        title="Watchword",
        version=version,
        openapi_url=f"{prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in routers:  # flat, not included: an included route costs a tenth of its rate
        app.router.routes.extend(router.routes)

    def answer(_: Request, error: Exception) -> Response:
        return problem_response(error if isinstance(error, Problem) else InternalError(), docs=docs)

    def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == MethodNotAllowed.status:
            allowed = ", ".join(_methods(app.routes, request.scope))
            return problem_response(MethodNotAllowed(headers=(("Allow", allowed),)), docs=docs)
        unknown = isinstance(error, HTTPException) and error.status_code == NotFound.status
        return problem_response(NotFound() if unknown else BadRequest(), docs=docs)

    def unreadable(_: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        return problem_response(InvalidRequest(errors=field_errors(found)), docs=docs)

    app.add_exception_handler(Problem, answer)
    app.add_exception_handler(Exception, answer)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return OurRoutes(app, docs=docs)


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Every method that some route of this path answers (RFC 9110 §10.2.1)."""
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document with the plain routes and the problem document in it."""
    if app.openapi_schema is None:
        plain = [route for route in app.routes if isinstance(route, PlainRoute)]
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        models: set[type[BaseModel]] = {
            ProblemDocument,
            *(model for route in plain for model in route.models),
        }
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for model in sorted(models, key=lambda model: model.__name__):
            schemas.setdefault(model.__name__, model.model_json_schema())
        for route in plain:
            schema["paths"][route.path] = {"post": route.operation}
        app.openapi_schema = schema
    return app.openapi_schema


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
