"""Reading request bodies strictly: size, media type, duplicate keys, unknown fields, near types.

Sources: ASVS 5.0 1.5.2, 1.5.3, 2.2.1, 15.3.5, 15.3.7, 16.5.1; SECURITY-TARGET attacks 71, 74, 81.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from watchword.errors import BadRequest, FieldError, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from watchword.http.problem import Scope
from watchword.texts import camel

MAX_BODY = 16_384
"""Bytes; the largest valid body is a password change of two passwords of 1,024 bytes, escaped."""

MAX_ERRORS = 20
"""As many as anybody will read; a body of wrong names alone would be answered with ten times its size."""

BODY_SECONDS = 10
"""A body that has not arrived by then is somebody holding a connection (SECURITY-TARGET attack 80)."""

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """Base of all request bodies: unknown fields and near types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def in_camel_case(model: type[M]) -> type[M]:
    """The same body with its keys in camel case, and in no other."""
    made: type[M] = type(model.__name__, (model,), {"__doc__": model.__doc__, "model_config": _CAMEL})
    return made


_CAMEL = ConfigDict(alias_generator=camel)


async def read(request: Request, model: type[M]) -> M:
    """The body of a request; an empty one counts as `{}`, whatever its media type.

    Raises BadRequest, PayloadTooLarge, UnsupportedMediaType, InvalidRequest.
    """
    raw = await _arrived(request)
    if raw:
        _check_media_type(request.scope)
    try:
        return model.model_validate(_parse(raw) if raw else {})
    except ValidationError as error:
        raise InvalidRequest(errors=field_errors(error.errors())) from None


async def _arrived(request: Request) -> bytes:
    for name, length in request.scope["headers"]:
        if name == b"content-length" and length.isdigit() and int(length[:20]) > MAX_BODY:
            raise PayloadTooLarge
    chunks, receive = bytearray(), request.receive
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BadRequest("The body did not arrive.")
                chunks += message.get("body", b"")
                if len(chunks) > MAX_BODY:
                    raise PayloadTooLarge
                if not message.get("more_body", False):
                    return bytes(chunks)
    except TimeoutError:
        raise BadRequest("The body took too long to arrive.") from None


def _check_media_type(scope: Scope) -> None:
    types = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"]
    media_type, _, parameters = (types[0] if len(types) == 1 else "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise UnsupportedMediaType


def _parse(raw: bytes) -> Any:
    try:
        return _decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRequest("The body is not valid JSON in UTF-8, or names a key twice.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("duplicate key")
    return keys


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse).decode

_CODES = {
    "missing": ("missing", "This field is required."),
    "extra_forbidden": ("unknown_field", "There is no such field."),
    "string_type": ("wrong_type", "A string is expected."),
    "bool_type": ("wrong_type", "true or false is expected."),
    "int_type": ("wrong_type", "A whole number is expected."),
    "model_attributes_type": ("wrong_type", "A JSON object is expected."),
    "model_type": ("wrong_type", "A JSON object is expected."),
    "string_too_short": ("too_short", "This is too short."),
    "string_too_long": ("too_long", "This is too long."),
    "string_pattern_mismatch": ("invalid_format", "This is not written as it must be."),
    "literal_error": ("unknown_value", "This is none of the values that there are."),
    "string_unicode": ("invalid_text", "This holds characters that are no valid Unicode."),
}


def field_errors(found: Sequence[Any]) -> tuple[FieldError, ...]:
    """Field names without FastAPI's leading `body`; never the value that was sent (ASVS 5.0 16.5.1)."""
    errors = []
    for item in found[:MAX_ERRORS]:
        path = [str(part) for part in item["loc"]]
        name = ".".join(
            path[1:] if len(path) > 1 and path[0] in ("body", "path", "query", "header") else path
        )
        code, message = _CODES.get(item["type"], ("invalid", "This value is not valid."))
        if name == "body" and code == "missing":
            message = "A JSON object is expected."
        errors.append(FieldError(name or "body", code, message))
    return tuple(errors)
