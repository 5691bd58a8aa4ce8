"""What our sources never do, whatever they are given: read off the sources themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_house import MODULES, PACKAGE

CRYPTOGRAPHY = {
    "core/challenge.py": "digests of links and codes",
    "core/derived_token.py": "tags of refresh and session tokens",
    "core/jws.py": "access tokens",
    "core/keys.py": "keys from the root secrets",
    "core/mail.py": "messages that wait",
    "core/session.py": "the digest of a browser and its network",
    "core/tagged_token.py": "tags of known devices and CSRF tokens",
    "core/throttle.py": "keys of limits",
    "drivers/hasher.py": "passwords",
    "drivers/mailer.py": "TLS to the mail server",
    "features/client/routes.py": "whether a browser has a module already",
    "features/revocations/routes.py": "the feed's token, compared by its digest",
    "features/revocations/rules.py": "the feed's cursor",
    "http/forgery.py": "CSRF tokens",
    "pages/assets.py": "an address that changes with its file",
    "texts.py": "the digest of a secret's text",
}
"""Whoever imports cryptography, and for what: the inventory of docs/security.md goes by it."""
DECLARED = {"hashlib", "hmac", "ssl", "cryptography", "argon2", "joserfc"}
NOT_SECRET = {"drivers/sweeper.py": "when the hour begins", "storage/sql/sqlite.py": "pauses between tries"}
"""Whoever uses `random`, which can be guessed."""
DANGEROUS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "marshal.loads", "yaml.load"),
    *("pickle.load", "pickle.loads", "shelve.open", "subprocess.run", "subprocess.Popen", "subprocess.call"),
}
ELSEWHERE = {"urllib.request", "http.client", "httpx", "requests", "aiohttp", "ftplib", "telnetlib", "xmlrpc"}
PATTERNS = {
    "re.compile",
    "re.match",
    "re.fullmatch",
    "re.search",
    "re.sub",
    "re.split",
    "re.findall",
    "re.finditer",
}


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        yield place(path), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """The full names of the modules that are imported, wherever that is done."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def offending(names: set[str], tree: ast.Module) -> list[str]:
    return [name for name, _ in calls(tree) if name in names]


def test_nothing_is_evaluated_unpickled_or_given_to_a_shell() -> None:
    """ASVS 1.3.2, 1.5.2; attack 97."""
    assert {where: found for where, tree in trees() if (found := offending(DANGEROUS, tree))} == {}


@pytest.mark.parametrize("source", ["eval(x)", "import pickle\npickle.loads(x)", "import os\nos.system(x)"])
def test_what_is_dangerous_is_recognised(source: str) -> None:
    assert offending(DANGEROUS, ast.parse(source))


def test_nothing_connects_to_an_address_that_a_request_could_name() -> None:
    """ASVS 1.3.6, 13.1.1, 14.2.3: no client for HTTP or the like; who connects is the database's, Redis' and the mail
    server's driver, to what the settings say."""
    found = {where: reached for where, tree in trees() if (reached := ELSEWHERE & imported(tree))}
    assert found == {"cli/dev.py": {"http.client"}} or found == {}


def test_every_pattern_is_a_constant() -> None:
    """ASVS 1.2.9, 1.3.12: none is made of input; what a setting puts into one is escaped."""
    assert {
        where: ast.unparse(call)
        for where, tree in trees()
        for name, call in calls(tree)
        if name in PATTERNS and not _constant(call.args[0])
    } == {}


def test_no_text_with_places_for_values_comes_from_outside() -> None:
    """ASVS 1.3.10: `format` is asked of constants only."""
    assert {
        where: ast.unparse(call)
        for where, tree in trees()
        for name, call in calls(tree)
        if name.endswith((".format", ".format_map"))
        and isinstance(call.func, ast.Attribute)
        and not (isinstance(call.func.value, ast.Constant) or _named_constant(call.func.value))
    } == {}


def test_sql_is_composed_and_never_pasted() -> None:
    """ASVS 1.2.4; attack 94: no text with values in it begins like a statement."""
    verbs = (
        "select ",
        "insert into ",
        "update ",
        "delete from ",
        "alter table ",
        "drop table ",
        "create table ",
    )
    pasted = {
        where: ast.unparse(node)
        for where, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and _beginning(node).lower().startswith(verbs)
    }
    assert pasted == {}


def test_who_uses_cryptography_is_known() -> None:
    """ASVS 11.1.2, 11.1.3, 11.2.1: OpenSSL by `cryptography`, `hashlib` and `hmac`, argon2, and joserfc for JWS."""
    users = {
        where for where, tree in trees() if {name.partition(".")[0] for name in imported(tree)} & DECLARED
    }
    assert users == CRYPTOGRAPHY.keys()


def test_sha_256_is_the_only_hash() -> None:
    """ASVS 11.4.1, 11.4.3."""
    used = {
        name
        for _, tree in trees()
        for name, _ in calls(tree)
        if name.startswith(("hashlib.", "hashes.")) and name.count(".") == 1
    }
    digests = {
        ast.unparse(argument)
        for _, tree in trees()
        for name, call in calls(tree)
        if name in {"hmac.new", "hmac.digest"}
        for argument in [*call.args[2:], *(keyword.value for keyword in call.keywords)]
    }
    assert used <= {"hashlib.sha256", "hashes.SHA256"}
    assert digests <= {"'sha256'", "hashlib.sha256", "sha256"}


def test_the_only_cipher_is_authenticated() -> None:
    """ASVS 11.3.1, 11.3.2, 11.3.3: AES-GCM, and no mode or padding to choose."""
    ciphers = {
        name
        for _, tree in trees()
        for name in imported(tree)
        if name.startswith("cryptography.hazmat.primitives") and ("cipher" in name or "padding" in name)
    }
    assert ciphers == {"cryptography.hazmat.primitives.ciphers.aead"}


def test_what_can_be_guessed_is_used_for_pauses_only() -> None:
    """ASVS 11.5.1: everything secret comes from `secrets`."""
    users = {where for where, tree in trees() if "random" in imported(tree)}
    assert users == NOT_SECRET.keys()


def _constant(node: ast.expr) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.JoinedStr(values=values):
            return all(map(_constant, values))
        case ast.FormattedValue(value=value):
            return ast.unparse(value).startswith("re.escape(")
        case ast.BinOp(left=left, right=right):
            return _constant(left) and _constant(right)
    return False


def _named_constant(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2].isupper()


def _beginning(node: ast.JoinedStr) -> str:
    first = node.values[0] if node.values else None
    return str(first.value) if isinstance(first, ast.Constant) else ""
