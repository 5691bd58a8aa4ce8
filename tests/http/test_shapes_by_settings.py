"""What settings change of bodies and answers: the case of keys, the name of the access token, its claims."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonschema_rs
import pytest

from tests.http.devices import ADA, PASSWORD, Device, house


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def keys(value: Any) -> set[str]:
    """Every key of a document, however deep."""
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


async def answers(device: Device) -> list[Any]:
    """The body of every kind of answer that one life sees."""
    signed_in = await device.sign_in()
    device.access_token = signed_in.json.get("accessToken", device.access_token)
    return [
        signed_in.json,
        (await device.post("/auth/reauthenticate", {"password": PASSWORD})).json,
        (await device.get("/auth/me")).json,
        (await device.get("/auth/sessions")).json,
        (await device.get("/auth/csrf")).json,
        (await device.post("/auth/logout")).json,
    ]


@pytest.mark.parametrize("mode", ["cookies", "hybrid"])
async def test_camel_case_reaches_every_key_of_every_answer(mode: str) -> None:
    """R21; DESIGN §5: `accessToken`, `expiresIn`, `createdAt`, deep inside too."""
    home = await house(mode=mode, field_case="camel")
    found = keys(await answers(home.device()))
    assert not [key for key in found if "_" in key]
    assert {"expiresIn", "refreshTimeout", "emailVerified", "createdAt", "csrfToken"} <= found
    assert ("accessToken" in found) is (mode == "hybrid")


async def test_camel_case_is_what_bodies_are_read_in_and_nothing_else() -> None:
    """DESIGN §5: one spelling, so that no field is given twice under two names."""
    home = await house(mode="bearer", field_case="camel")
    device = home.device()
    token = (await device.sign_in()).json["refreshToken"]
    renewed = await device.post("/auth/refresh", {"refreshToken": token}, keep=False)
    assert (renewed.status, "accessToken" in renewed.json) == (200, True)
    for wrong in ({"refresh_token": token}, {"refreshtoken": token}, {"RefreshToken": token}):
        answer = await device.post("/auth/refresh", wrong, keep=False)
        [error] = answer.problem["errors"]
        assert (answer.status, error["field"], error["code"]) == (422, *wrong, "unknown_field")
    answer = await device.post("/auth/refresh", {"refreshToken": 1}, keep=False)
    assert [error["field"] for error in answer.problem["errors"]] == ["refreshToken"]


async def test_problem_documents_keep_their_keys() -> None:
    """RFC 9457: `request_id` and `retry_after` are members of ours, whatever the case of bodies."""
    home = await house(mode="cookies", field_case="camel")
    problem = (await home.device().post("/auth/refresh")).problem
    assert "request_id" in problem


@pytest.mark.parametrize("case", ["snake", "camel"])
@pytest.mark.parametrize("name", ["token", "accessToken", "jwt"])
async def test_the_access_token_has_the_name_that_the_setting_gives(name: str, case: str) -> None:
    """R21 `accessToken`, R27 `access_token`, R43 `token`."""
    home = await house(mode="bearer", access_field=name, field_case=case)
    device = home.device()
    body = (await device.sign_in()).json
    assert claims(body[name])["sub"] == body["user"]["id"]
    assert not {"access_token", "accessToken"} - {name} & set(body)
    device.access_token = body[name]
    assert (await device.get("/auth/me")).status == 200


@pytest.mark.parametrize(
    ("texts", "written"),
    [
        ({}, {"access_token", "expires_in"}),
        ({"field_case": "camel"}, {"accessToken", "expiresIn"}),
        ({"access_field": "token"}, {"token", "expires_in"}),
        ({"field_case": "camel", "access_field": "token"}, {"token", "expiresIn"}),
    ],
)
async def test_the_openapi_document_describes_the_keys_as_they_are_written(
    texts: dict[str, str], written: set[str]
) -> None:
    """DESIGN §4.7: the document is generated from what is answered, and fits it."""
    home = await house(mode="hybrid", **texts)
    device = home.device()
    document = (await device.get("/auth/openapi.json")).json
    schemas = document["components"]["schemas"]
    assert written <= set(schemas["Tokens"]["properties"])
    assert "request_id" in schemas["ProblemDocument"]["properties"]
    body_key = "refreshToken" if texts.get("field_case") else "refresh_token"
    assert set(schemas["RefreshBody"]["properties"]) == {body_key}
    answer = (await device.sign_in()).json
    shape = document["paths"]["/auth/login"]["post"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    assert jsonschema_rs.is_valid({**shape, "components": document["components"]}, answer)
    assert written <= set(answer)


async def test_claims_that_the_settings_name_are_in_the_token_and_on_the_principal() -> None:
    """R2, R18: `username`, `email`; ASVS 14.1.1: and nothing personal unless somebody asks for it."""
    plain = await house(mode="bearer")
    device = await plain.signed_in()
    assert not {"email", "username"} & set(claims(device.access))
    home = await house(mode="bearer", access_claims="email username email_verified")
    device = await home.signed_in()
    expected = {"email": ADA, "username": "ada", "email_verified": True}
    assert {name: claims(device.access)[name] for name in expected} == expected
    principal = home.auth.world.verifier.verify(device.access.encode(), home.clock.now())
    assert dict(principal.claims) == expected
