"""Putting routes together into one ASGI app whose every failure is a problem document, and describing them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import UnionType
from typing import Any, get_args

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from watchword.errors import BadRequest, InternalError, InvalidRequest, MethodNotAllowed, NotFound, Problem
from watchword.http.denials import Denials
from watchword.http.problem import Receive, Scope, Send
from watchword.routing.answers import ProblemDocument, answers, problem_response
from watchword.routing.bodies import field_errors, in_camel_case, read
from watchword.routing.match import path_of
from watchword.settings import FieldCase, Settings
from watchword.texts import camel

_REF = "#/components/schemas/"


class PlainRoute(Route):
    """A POST route of a JSON body, without FastAPI's machinery in its way; its OpenAPI entry is made here.

    `endpoint` is given the request and its body as a `body`, which has been read strictly.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request, Any], Awaitable[Response]],
        *,
        summary: str,
        tag: str,
        body: type[BaseModel],
        answer: type[BaseModel] | UnionType,
        problems: Sequence[type[Problem]],
        case: FieldCase,
        documented: bool = True,
        status: int = 200,
    ) -> None:
        if case is FieldCase.CAMEL:
            body = in_camel_case(body)

        async def handle(request: Request) -> Response:
            return await endpoint(request, await read(request, body))

        super().__init__(path, handle, methods=["POST"], name=endpoint.__name__, include_in_schema=documented)
        either: tuple[type[BaseModel], ...] = get_args(answer) or (answer,)
        self.models: tuple[type[BaseModel], ...] = (body, *either)
        required = any(field.is_required() for field in body.model_fields.values())
        self.operation = {
            "tags": [tag],
            "summary": summary,
            "operationId": endpoint.__name__ + path.replace("/", "_"),
            "requestBody": {"required": required, "content": {"application/json": {"schema": _ref(body)}}},
            "responses": {
                str(status): {
                    "description": " ".join((model.__doc__ or "").strip() for model in either),
                    "content": {"application/json": {"schema": {"anyOf": [_ref(model) for model in either]}}},
                },
                **{str(status): entry for status, entry in answers(*problems).items()},
            },
        }


class OurRoutes:
    """The plain routes, with nothing around them, in front of an app of all routes, which answers the rest."""

    def __init__(self, app: FastAPI, *, denials: Denials, docs: str) -> None:
        self._app = app
        self._denials = denials
        self.routes = [route for route in app.routes if isinstance(route, Route)]
        self._plain = {route.path: route for route in app.routes if isinstance(route, PlainRoute)}
        self._docs = docs

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """As a plain function it has no part in what resumes a request that waited."""
        route = self._plain.get(path_of(scope)) if scope.get("method") == "POST" else None
        if route is None:
            return self._app(scope, receive, send)
        return self._answer(route, scope, receive, send)

    async def _answer(self, route: PlainRoute, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = route  # as FastAPI does for its own
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except Problem as problem:
            self._denials.tell(scope, problem)
            response = problem_response(problem, docs=self._docs)
        except HTTPException:
            raise  # of a middleware around us, such as the host's limit on bodies: its own to answer
        except Exception:
            self._denials.tell(scope, InternalError())
            await problem_response(InternalError(), docs=self._docs)(scope, receive, send)
            raise  # to the server's log
        await response(scope, receive, send)


def build(
    routers: Sequence[APIRouter], settings: Settings, *, denials: Denials, docs: str, version: str
) -> OurRoutes:
    """One ASGI app of all routes, every failure of which is a problem document."""
    app = FastAPI(
        title="Watchword",
        version=version,
        openapi_url=f"{settings.prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its own spans hold paths and queries, and its logs the texts of errors: ours are `drivers.tracing`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for router in routers:  # flat, not included: an included route costs a tenth of its rate
        app.router.routes.extend(router.routes)

    def told(request: Request, problem: Problem) -> Response:
        denials.tell(request.scope, problem)
        return problem_response(problem, docs=docs)

    def answer(request: Request, error: Exception) -> Response:
        return told(request, error if isinstance(error, Problem) else InternalError())

    def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == MethodNotAllowed.status:
            allowed = ", ".join(_methods(app.routes, request.scope))
            return told(request, MethodNotAllowed(headers=(("Allow", allowed),)))
        unknown = isinstance(error, HTTPException) and error.status_code == NotFound.status
        return told(request, NotFound() if unknown else BadRequest())

    def unreadable(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        return told(request, InvalidRequest(errors=field_errors(found)))

    app.add_exception_handler(Problem, answer)
    app.add_exception_handler(Exception, answer)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, unreadable)
    app.openapi = lambda: _openapi(app, settings)  # type: ignore[method-assign]
    return OurRoutes(app, denials=denials, docs=docs)


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Every method that some route of this path answers (RFC 9110 §10.2.1)."""
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def _openapi(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """FastAPI's document with the plain routes and the problem document in it, and the keys as they are written."""
    if app.openapi_schema is None:
        plain = [route for route in app.routes if isinstance(route, PlainRoute) and route.include_in_schema]
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        models: set[type[BaseModel]] = {
            ProblemDocument,
            *(model for route in plain for model in route.models),
        }
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        used: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in models]
        _, definitions = models_json_schema(used, ref_template=_REF + "{model}")
        schemas.update(sorted((definitions["$defs"] | schemas).items()))
        for name, model in schemas.items():
            if name != ProblemDocument.__name__:
                _spell_keys(model, settings)
        for route in plain:
            schema["paths"].setdefault(route.path, {})["post"] = route.operation
        app.openapi_schema = schema
    return app.openapi_schema


def _spell_keys(schema: dict[str, Any], settings: Settings) -> None:
    camel_case = settings.field_case is FieldCase.CAMEL

    def spelled(key: str) -> str:
        key = settings.access_field if key == "access_token" else key
        return camel(key) if camel_case else key

    schema["properties"] = {spelled(key): value for key, value in schema.get("properties", {}).items()}
    if "required" in schema:
        schema["required"] = [spelled(key) for key in schema["required"]]


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF + model.__name__}
