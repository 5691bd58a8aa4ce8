"""The user record and what its fields may hold: canonical logins, statuses, role names.

Pure: text in, text or a `FieldError` out. Nothing about passwords (core/password) or storage.
Sources: ASVS 5.0 1.1.1, 8.2.3; RFC 5321 §4.5.3 for lengths.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from email_validator import EmailNotValidError, validate_email

from watchword.errors import FieldError, InvalidRequest

MAX_LOGIN = 320
MAX_ROLES = 1200
"""Characters of all roles of a user: they travel in each access token, and browsers drop a cookie of over 4 kB."""
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+]+(?:[.-][a-z0-9_+]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}", re.ASCII
)
_ROLE = re.compile(r"[a-z0-9][a-z0-9:._-]{0,62}", re.ASCII)


class Status(StrEnum):
    """What a user may do: `active` signs in; `disabled` and `unverified` do not."""

    ACTIVE = "active"
    DISABLED = "disabled"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class User:
    """Our row of a person. `tokens_from`: access tokens issued before this second are refused. `created_at` in µs.

    `two_factor` is whether they have turned a second step on (their factors say which).
    """

    id: str
    email: str
    email_verified: bool
    username: str | None
    digest: str | None
    status: Status
    roles: tuple[str, ...]
    tokens_from: int
    created_at: int
    two_factor: bool = False

    def __repr__(self) -> str:
        return f"User(id={self.id!r}, status={self.status.value!r})"  # neither address nor digest: reprs reach logs


def masked(email: str) -> str:
    """An address as its owner knows it again and nobody learns it: «a…@example.com»."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"


def canonical_email(text: str, *, field: str = "email") -> str:
    """The one form of an address that is stored and compared. Raises InvalidRequest.

    Length is checked before any Unicode work (normalising long text is slow), the domain is IDNA-decoded, all of it
    lower case and NFC (lower case can undo it: «Ϊ́»): two people whose addresses differ in case alone do not exist in
    practice, two accounts of one person do. No folding beyond that: «ß» and «ss» may be two mailboxes.
    """
    if len(text) > MAX_LOGIN:
        raise _invalid(field, "too_long", f"At most {MAX_LOGIN} characters.")
    try:
        address = validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise _invalid(field, "invalid_email", str(error)) from None
    return unicodedata.normalize("NFC", address.lower())


def canonical_username(text: str, *, field: str = "username") -> str:
    """Lower-case ASCII letters, digits, dots, dashes and underscores, 1 to 64. Raises InvalidRequest.

    ASCII alone, so that no two names look alike; no @, so that a username is never taken for an address.
    """
    name = text[: MAX_LOGIN + 1].lower()
    if not _USERNAME.fullmatch(name):
        raise _invalid(
            field,
            "invalid_username",
            "1 to 64 of a-z, 0-9, dot, dash and underscore, with a letter or digit at both ends.",
        )
    return name


def canonical_login(text: str) -> str:
    """What to look a login up by, from whatever somebody typed. Never raises: a malformed login is an unknown one."""
    if len(text) > MAX_LOGIN:
        return ""
    plain = text.lower()
    # Nearly all are plain, and validating costs a tenth of a millisecond: their canonical form, if any, is lower case.
    if text.isascii() and _PLAIN_EMAIL.fullmatch(plain):
        return plain
    try:
        return canonical_email(text) if "@" in text else canonical_username(text)
    except InvalidRequest:
        return ""


def canonical_roles(names: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted, each once. Raises InvalidRequest for a name that is no role."""
    for name in names:
        if not _ROLE.fullmatch(name):
            raise _invalid("roles", "invalid_role", f"{_shown(name)} is no role: a-z, 0-9, : . _ and - only.")
    roles = tuple(sorted(set(names)))
    if sum(len(name) + 3 for name in roles) > MAX_ROLES:
        raise _invalid(
            "roles", "too_many_roles", f"At most {MAX_ROLES} characters, with 3 more for each role."
        )
    return roles


def _shown(text: str) -> str:
    printable = "".join(c for c in text[:40] if unicodedata.category(c)[0] != "C")
    return f"“{printable}”"


def _invalid(field: str, code: str, message: str) -> InvalidRequest:
    return InvalidRequest(errors=(FieldError(field, code, message),))
