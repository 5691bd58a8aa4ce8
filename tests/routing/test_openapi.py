"""The OpenAPI document: it describes every route, and every answer is as it says."""

from __future__ import annotations

import re
from typing import Any

import anyio
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.openapi.checks import RejectedPositiveData
from starlette.routing import Route

from tests.http.asgi import PROBLEM
from tests.http.devices import ADA, PASSWORD, Device, House, add, house
from watchword.errors import registry
from watchword.flows.follow import poll

UNSAYABLE = {f"POST /auth/{path}" for path in ("login", "register", "reauthenticate", "email/change")}
STATUSES = {kind.code: kind.status for kind in registry()}


async def furnished(mode: str) -> tuple[House, Device]:
    """A house that is ready for traffic, and Ada signed in."""
    home = await house(mode=mode)
    await poll(home.auth.world, None)
    return home, await home.signed_in()


async def described(**texts: str) -> Any:
    home = await house(**texts)
    return (await home.device().get("/auth/openapi.json")).json


async def test_the_document_is_valid_openapi_3_1() -> None:
    """Checked against the specification's own schema."""
    document = await described()
    assert document["openapi"].startswith("3.1.")
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    assert document["info"]["title"] == "Watchword"


async def test_every_route_is_in_it_but_pages_files_an_alias_and_itself() -> None:
    """No route can be added without being described, or being named here."""
    home = await house()
    document = (await home.device().get("/auth/openapi.json")).json
    routes = vars(home.app)["_app"].routes
    there = {
        (route.path, method.lower())
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or ())
        if method != "HEAD"
    }
    told = {(path, method) for path, item in document["paths"].items() for method in item}
    assert told <= there
    assert {path for path, _ in there - told} == {
        *("/auth", "/auth/", "/auth/sign-up", "/auth/verify", "/auth/address", "/auth/forgot", "/auth/reset"),
        *("/auth/account", "/auth/pages/{version}/{name}"),
        *("/auth/login/credentials", "/auth/openapi.json"),
        *(f"/auth/{name}.js" for name in ("client", "wire", "axios", "angular", "react")),
    }


async def test_every_answer_of_every_operation_has_a_schema() -> None:
    """A client generator finds a type for each; refusals are problem documents and name their codes."""
    document = await described()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], path
            assert operation["operationId"], path
            for status, answer in operation["responses"].items():
                (media_type,) = answer["content"]
                schema = answer["content"][media_type].get("schema")
                assert schema, (method, path, status)
                if status in ("200", "202"):
                    expected = "text/html" if path == "/auth/errors" else "application/json"
                    assert media_type == expected
                    continue
                assert media_type == PROBLEM, (method, path, status)
                assert schema == {"$ref": "#/components/schemas/ProblemDocument"}
                codes = re.findall(r"`([a-z_]+)`", answer["description"])
                assert codes, (method, path, status)
                assert {STATUSES[code] for code in codes} == {int(status)}


async def test_every_operation_that_has_a_limit_says_so() -> None:
    """ASVS 6.1.1: docs/guides/limits.md names them."""
    document = await described()
    limited = {
        path
        for path, item in document["paths"].items()
        for operation in item.values()
        if "`rate_limited`" in operation["responses"].get("429", {}).get("description", "")
    }
    names = (
        "login",
        "login/2fa",
        "login/2fa/resend",
        "refresh",
        "reauthenticate",
        "reauthenticate/code",
        "register",
    )
    more = ("password/change", "password/forgot", "password/reset", "email/verify", "email/verify/resend")
    assert {f"/auth/{name}" for name in (*names, *more, "email/change")} <= limited


async def test_no_schema_of_the_framework_is_promised() -> None:
    """FastAPI's own shape of a validation error never leaves this app."""
    document = await described()
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


async def test_bodies_refuse_what_they_do_not_name_and_say_so() -> None:
    """ASVS 2.1.1: the documented limits are those that are kept."""
    schemas = (await described())["components"]["schemas"]
    for name in ("Login", "Proof", "RefreshBody"):
        assert schemas[name]["additionalProperties"] is False
    assert schemas["Login"]["required"] == ["password"]
    assert schemas["Login"]["properties"]["password"]["maxLength"] == 1024


async def test_the_document_moves_with_the_prefix() -> None:
    """Its paths are the ones that are served."""
    home = await house(prefix="/identity")
    document = (await home.device().get("/identity/openapi.json")).json
    assert all(path.startswith(("/identity/", "/.well-known/")) for path in document["paths"])


@pytest.mark.parametrize(
    ("mode", "who"), [("cookies", "nobody"), ("cookies", "somebody"), ("bearer", "somebody")]
)
@pytest.mark.parametrize("generation", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_answer_contradicts_the_document(mode: str, who: str, generation: GenerationMode) -> None:
    """ASVS 2.2.1: generated requests, good and bad: no undocumented status, type or shape, and no server error."""
    home, device = anyio.run(furnished, mode)
    schema = schemathesis.openapi.from_asgi("/auth/openapi.json", home.app)
    asked: set[str] = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if generation is GenerationMode.NEGATIVE and not (operation.body or operation.path_parameters):
            continue
        if who == "somebody":
            anyio.run(back, home, device)
        headers = carried(device) if who == "somebody" else {"origin": "http://testserver"}
        agree(operation, generation, headers)
        asked.add(operation.label)
    assert {"POST /auth/login", "POST /auth/refresh", "DELETE /auth/sessions/{sid}"} <= asked
    if generation is GenerationMode.POSITIVE:
        paths = schema.raw_schema["paths"]
        assert len(asked) == sum(len(item) for item in paths.values())


async def back(home: House, device: Device) -> None:
    """Signed in, also behind an operation that has deleted the user."""
    if (await device.sign_in()).status != 200:
        await add(home.auth, ADA)
        assert (await device.sign_in()).status == 200


def agree(operation: Any, generation: GenerationMode, headers: dict[str, str]) -> None:
    """Ask for one operation in all kinds of ways; fails at the first answer that is not as described."""

    @settings(max_examples=15, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=generation))
    def agrees(case: Case[Any]) -> None:
        try:
            case.call_and_validate(headers=headers)
        except FailureGroup as failures:
            # Either email or username, or password or code, or what is an address and a good password, is more than the
            # schema can say simply; the problem document says it.
            serious = [fault for fault in failures.exceptions if not isinstance(fault, RejectedPositiveData)]
            if serious or operation.label not in UNSAYABLE:
                raise

    agrees()


def carried(device: Device) -> dict[str, str]:
    """What a client of the mode sends along."""
    headers = {"origin": "http://testserver"}
    if device.jar:
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in device.jar.items())
    if device.access_token is not None:
        headers["authorization"] = f"Bearer {device.access_token}"
    return headers


async def test_the_answers_of_a_whole_life_are_as_described() -> None:
    """The successes that generated requests do not reach: sign-in, refresh, reauthentication, in every mode."""
    for mode in ("cookies", "hybrid", "bearer"):
        home, device = await furnished(mode)
        document = (await device.get("/auth/openapi.json")).json
        token = {"refresh_token": device.held} if mode == "bearer" else None
        for method, path, answer in [
            ("POST", "/auth/login", await home.device().sign_in()),
            ("POST", "/auth/refresh", await device.refresh()),
            (
                "POST",
                "/auth/reauthenticate",
                await device.post("/auth/reauthenticate", {"password": PASSWORD}),
            ),
            ("GET", "/auth/me", await device.get("/auth/me")),
            ("GET", "/auth/sessions", await device.get("/auth/sessions")),
            ("DELETE", "/auth/sessions", await device.delete("/auth/sessions")),
            ("POST", "/auth/logout", await device.post("/auth/logout", token)),
        ]:
            assert answer.status == 200, path
            entry = document["paths"][path][method.lower()]["responses"]["200"]
            shape = entry["content"]["application/json"]["schema"]
            assert fits(document, shape, answer.json), (path, answer.json)


async def test_no_route_reaches_another_user() -> None:
    """ASVS 6.4.6, 8.4.2: whose account it is, is never part of a request, and administration is no route."""
    document = await described()
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    asked = {
        parameter["name"] for operation in operations for parameter in operation.get("parameters", ())
    } | {name for path in document["paths"] for name in re.findall(r"{([^}]+)}", path)}
    assert not {name for name in asked if "user" in name or "admin" in name}
    assert not {path for path in document["paths"] if re.search("user|admin|role", path)}


async def test_nothing_is_asked_that_a_friend_could_know() -> None:
    """ASVS 6.4.2: no hint to a password, no question in its place."""
    schemas = (await described())["components"]["schemas"].values()
    fields = {name for schema in schemas for name in schema.get("properties", {})}
    assert not {name for name in fields if re.search("hint|question|answer|birth|maiden", name)}


async def test_no_answer_is_a_script() -> None:
    """ASVS 3.5.6: whoever asks for a callback gets JSON all the same."""
    home = await house()
    device = await home.signed_in()
    for name in ("callback", "jsonp", "cb"):
        answer = await device.get(f"/auth/me?{name}=alert")
        assert answer.get("content-type") == "application/json"
        assert b"alert" not in answer.body


def fits(document: Any, schema: Any, value: Any) -> bool:
    return jsonschema_rs.is_valid({**schema, "components": document["components"]}, value)
