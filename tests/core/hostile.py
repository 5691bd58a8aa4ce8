"""Hostile access tokens by name, for one algorithm: what SECURITY-TARGET §3.1 lists, each with as much of it genuine
as an attacker could ever hope for.

`python -m tests.core.hostile` verifies them all under an audit hook and prints what was opened or connected to.
"""

from __future__ import annotations

import hmac
import json
import sys
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.core.forging import (
    ABSENT,
    NOW,
    P256_ORDER,
    SECRET,
    accepted,
    b64,
    claims,
    compact,
    forge,
    hkdf,
    hs256,
    issue,
    rsa_key,
    signer,
)
from watchword.settings import Algorithm

Named = Iterator[tuple[str, bytes]]

BLANK_AND_COMMON = (
    b"",
    b"\x00",
    b"secret",
    b"password",
    b"changeme",
    b"your-256-bit-secret",
    b"key",
    b"watchword",
)


def headers(algorithm: Algorithm) -> Named:
    """Attacks 1, 5–8, 10 and 11: a wrong header, the signature over it made with the right key."""
    right = forge(algorithm)
    good = right.fields

    def with_(**changes: Any) -> bytes:
        fields = {name: value for name, value in (good | changes).items() if value is not ABSENT}
        return right.token(header=fields)

    no_algorithms: tuple[Any, ...] = (
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        ABSENT,
        None,
        ["HS256"],
        0,
        True,
        {},
        algorithm.value.lower(),
    )
    for alg in no_algorithms:
        yield f"alg {'absent' if alg is ABSENT else alg!r}", with_(alg=alg)
    for alg in (
        "HS256",
        "HS384",
        "HS512",
        "RS256",
        "PS256",
        "RS384",
        "ES256",
        "ES384",
        "ES256K",
        "EdDSA",
        "Ed25519",
    ):
        if alg != algorithm.value:
            yield f"alg {alg}", with_(alg=alg)
    strange_kids: tuple[Any, ...] = (
        *("", "unknown", "../../dev/null", "/etc/passwd", "' OR 1=1 --", "\x00", "k" * 5000, ABSENT, None),
        *(
            7,
            [good["kid"]],
            {"kid": good["kid"]},
            good["kid"].upper() + "x",
            good["kid"][:-1],
            " " + good["kid"],
        ),
        *(hkdf(SECRET, "refresh kid", 9).hex(), "file:///etc/passwd", "http://127.0.0.1:9/key"),
    )
    for kid in strange_kids:
        yield f"kid {'absent' if kid is ABSENT else repr(kid)[:30]}", with_(kid=kid)
    for typ in (ABSENT, None, "", "JWT", "jwt", "AT+JWT", "application/at+jwt", "rt+jwt", ["at+jwt"]):
        yield f"typ {'absent' if typ is ABSENT else repr(typ)}", with_(typ=typ)
    for crit in (["exp"], [], ["alg"], "alg", ["b64"], [7], None, ["absent"], {"exp": True}):
        yield f"crit {crit!r}", with_(crit=crit)
    for name, value in {
        "jku": "http://127.0.0.1:9/jwks.json",
        "x5u": "http://127.0.0.1:9/cert.pem",
        "x5c": ["MIIB"],
        "x5t": "AAAA",
        "jwks": {"keys": []},
        "jwk": {"kty": "oct", "k": "AAAA"},
        "cty": "JWT",
        "zip": "DEF",
        "b64": False,
        "enc": "A256GCM",
        "url": "http://127.0.0.1:9/",
        "nonce": "n",
        "__proto__": {},
    }.items():
        yield f"header {name}", with_(**{name: value})
    yield "b64 false with crit", with_(b64=False, crit=["b64"])
    text = json.dumps(good, separators=(",", ":"))
    for what, raw in {
        "alg twice": text.replace('{"alg"', '{"alg":"none","alg"', 1),
        "alg twice, none last": text[:-1] + ',"alg":"none"}',
        "escaped twin of alg": text[:-1] + ',"\\u0061lg":"none"}',
        "kid twice": text[:-1] + f',"kid":"{good["kid"]}"}}',
        "typ twice": text[:-1] + ',"typ":"at+jwt"}',
        "spaces": json.dumps(good),
        "other order": json.dumps(dict(reversed(good.items())), separators=(",", ":")),
        "escaped letters": text.replace("at+jwt", "\\u0061t+jwt"),
        "BOM": "\ufeff" + text,
        "newline behind": text + "\n",
        "space in front": " " + text,
        "garbage behind": text + "x",
        "array": f"[{text}]",
        "null": "null",
        "nothing": "",
    }.items():
        yield f"header text: {what}", right.token(header=b64(raw.encode()))
    yield "header in UTF-16", right.token(header=b64(text.encode("utf-16")))
    yield "header in clear", right.token(header=text.encode())
    yield "header padded", right.token(header=right.header + b"=" * (-len(right.header) % 4 or 4))
    yield "header of 10 kB", with_(x="x" * 4000)


def embedded_keys(algorithm: Algorithm) -> Named:
    """Attack 7: the attacker's own key in the header, the signature right under it."""
    good = forge(algorithm).fields
    kinds: list[tuple[Algorithm, Any, OctKey | ECKey | OKPKey | RSAKey]] = [
        (Algorithm.HS256, b"k" * 32, OctKey.import_key(b"k" * 32))
    ]
    curve, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    kinds.append((Algorithm.ES256, curve, ECKey.import_key(_public_pem(curve.public_key()))))
    kinds.append((Algorithm.EDDSA, edwards, OKPKey.import_key(_public_pem(edwards.public_key()))))
    own = rsa_key(9, 2048)
    kinds.append((Algorithm.RS256, own, RSAKey.import_key(_public_pem(own.public_key()))))
    for kind, key, published in kinds:
        jwk = dict(published.as_dict())
        for place, value in {"jwk": jwk, "jwks": {"keys": [jwk]}, "jku": "http://127.0.0.1:9/jwks"}.items():
            for kid in (good["kid"], "mine"):
                fields = {"alg": kind.value, "kid": kid, "typ": "at+jwt", place: value}
                signing_input = b64(compact(fields)) + b"." + b64(compact(claims()))
                signature = signer(kind, key)(signing_input)
                yield f"{place} of {kind.value}, kid {kid}", signing_input + b"." + b64(signature)


def signatures(algorithm: Algorithm) -> Named:
    """Attack 2: header and payload genuine, the signature not."""
    right = forge(algorithm)
    token = right.token()
    signing_input = token.rpartition(b".")[0]
    signature = signer(algorithm, right.key)(signing_input)
    other = right.token(claims(sub="somebody else")).rpartition(b".")[2]
    size = len(signature)
    for what, raw in {
        "stripped": b"",
        "truncated": signature[:-1],
        "halved": signature[: size // 2],
        "one byte more": signature + b"\x00",
        "one byte in front": b"\x00" + signature,
        "twice": signature * 2,
        "first bit": bytes([signature[0] ^ 0x80]) + signature[1:],
        "last bit": signature[:-1] + bytes([signature[-1] ^ 1]),
        "zeros": bytes(size),
        "ones": b"\xff" * size,
        "reversed": signature[::-1],
        "zeros of 64 bytes": bytes(64),
        "65 bytes": bytes(65),
    }.items():
        yield f"signature {what}", signing_input + b"." + b64(raw)
    yield "signature of another token", signing_input + b"." + other
    yield "no signature segment", signing_input
    yield "hex", signing_input + b"." + signature.hex().encode()
    if algorithm is Algorithm.ES256:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        n = P256_ORDER
        pairs = {"r=s=0": (0, 0), "r=0": (0, s), "s=0": (r, 0), "r=n": (n, s), "s=n": (r, n), "r=s=1": (1, 1)}
        pairs |= {"s=2^256-1": (r, 2**256 - 1), "r and s swapped": (s, r), "r=s=n": (n, n)}
        for what, (first, second) in pairs.items():
            raw = first.to_bytes(32, "big") + second.to_bytes(32, "big")
            yield f"ECDSA {what}", signing_input + b"." + b64(raw)
        yield "ECDSA as DER", signing_input + b"." + b64(utils.encode_dss_signature(r, s))
        wide = r.to_bytes(48, "big") + s.to_bytes(48, "big")
        yield "ECDSA in the size of P-384", signing_input + b"." + b64(wide)
    if algorithm is Algorithm.EDDSA:
        order = 2**252 + 27742317777372353535851937790883648493
        twin = int.from_bytes(signature[32:], "little") + order
        yield "EdDSA S + L", signing_input + b"." + b64(signature[:32] + twin.to_bytes(32, "little"))
        yield "EdDSA of 65 bytes", signing_input + b"." + b64(signature + b"\x00")
    if algorithm is Algorithm.RS256:
        key: rsa.RSAPrivateKey = right.key
        salt = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        yield (
            "PS256 by the same key",
            signing_input + b"." + b64(key.sign(signing_input, salt, hashes.SHA256())),
        )
        sha512 = key.sign(signing_input, padding.PKCS1v15(), hashes.SHA512())
        yield "RS512 by the same key", signing_input + b"." + b64(sha512)
    if algorithm is Algorithm.HS256:
        for digest in ("sha1", "sha384", "sha512", "md5"):
            raw = hmac.digest(right.key, signing_input, digest)
            yield f"HMAC with {digest}", signing_input + b"." + b64(raw)


def confused_keys(algorithm: Algorithm) -> Named:
    """Attacks 3 and 4: an HMAC whose key is something public, or nothing much."""
    right = forge(algorithm)
    keys: dict[str, bytes] = {f"common {key!r}": key for key in BLANK_AND_COMMON}
    if algorithm is not Algorithm.HS256:
        public = right.key.public_key()
        spki = _public_pem(public)
        keys |= {
            "SPKI PEM": spki,
            "SPKI PEM without newline": spki.rstrip(),
            "SPKI PEM with CRLF": spki.replace(b"\n", b"\r\n"),
            "SPKI DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "OpenSSH line": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
            "JWK": compact(right.tokens.jwks()["keys"][0]),
            "JWKS": compact(right.tokens.jwks()),
            "kid": right.fields["kid"].encode(),
        }
        if algorithm is Algorithm.RS256:
            keys["PKCS1 PEM"] = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
            keys["PKCS1 DER"] = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
            keys["modulus"] = public.public_numbers().n.to_bytes(384, "big")
        if algorithm is Algorithm.ES256:
            point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            keys |= {"point": point, "x": point[1:33]}
        if algorithm is Algorithm.EDDSA:
            keys["raw x"] = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    body = b64(compact(claims()))
    relabelled = b64(compact(right.fields | {"alg": "HS256"}))
    for what, key in keys.items():
        for how, segment in {"relabelled HS256": relabelled, "under our own header": right.header}.items():
            signing_input = segment + b"." + body
            yield f"HMAC by {what}, {how}", signing_input + b"." + b64(hs256(key)(signing_input))


def shapes(algorithm: Algorithm) -> Named:
    """Attacks 9, 10, 17 and 18: a genuine token taken apart and put together wrongly."""
    right = forge(algorithm)
    token = right.token()
    header, payload, signature = token.split(b".")
    yield "nothing", b""
    for count in (1, 2, 3, 4, 5, 5000):
        yield f"{count} dots", b"." * count
    yield "no dots", token.replace(b".", b"")
    yield "dot in front", b"." + token
    yield "dot behind", token + b"."
    yield "four segments", token + b"." + signature
    yield "five segments", b".".join([header, b"", payload, b"", signature])
    yield (
        "JWE of five parts",
        b".".join([b64(b'{"alg":"dir","enc":"A256GCM"}'), b"", b64(b"iv"), payload, b64(b"tag")]),
    )
    yield "empty segment in the middle", header + b".." + payload + b"." + signature
    yield "detached payload", header + b".." + signature
    yield "detached payload, signed so", right.sign(header + b".")
    yield "empty payload", right.token(b"")
    yield "nested token", right.token(token)
    yield "nested token as text", right.token(compact(token.decode()))
    fields = {"protected": header.decode(), "payload": payload.decode(), "signature": signature.decode()}
    yield "JSON serialisation", compact(fields)
    general = {
        "payload": payload.decode(),
        "signatures": [{k: fields[k] for k in ("protected", "signature")}],
    }
    yield "general JSON serialisation", compact(general)
    yield "JSON in front of the token", compact(fields) + b"." + token
    mixed = b'{"protected":"' + header + b'","payload":"' + payload + b'","signature":"' + signature + b'"}'
    yield "JSON with dots", mixed + b"." + payload + b"." + signature
    for what, edge in {
        "space": b" ",
        "newline": b"\n",
        "NUL": b"\x00",
        "BOM": b"\xef\xbb\xbf",
        "=": b"=",
    }.items():
        yield f"{what} in front", edge + token
        yield f"{what} behind", token + edge
        yield f"{what} behind the header", header + edge + b"." + payload + b"." + signature
        yield f"{what} behind the payload", header + b"." + payload + edge + b"." + signature
        middle = len(payload) // 2
        broken = payload[:middle] + edge + payload[middle:]
        yield f"{what} inside the payload", header + b"." + broken + b"." + signature
        yield f"{what} inside the payload, signed so", right.sign(header + b"." + broken)
        yield (
            f"{what} inside the signature",
            header + b"." + payload + b"." + signature[:5] + edge + signature[5:],
        )
    yield "payload padded, signed so", right.sign(header + b"." + payload + b"=" * (-len(payload) % 4 or 4))
    yield (
        "payload of 1-mod-4 length, signed so",
        right.sign(header + b"." + payload[: -((len(payload) - 1) % 4 or 4)]),
    )
    yield "non-ASCII digit", token[:-1] + "\uff11".encode()
    marked = b64(compact(claims(sub="????")))
    assert b"_" in marked
    yield "plain alphabet, signed so", right.sign(header + b"." + marked.replace(b"_", b"/"))
    yield "quoted", b'"' + token + b'"'
    yield "with its scheme", b"Bearer " + token
    yield "twice", token + token
    yield "twice with comma", token + b"," + token
    yield "URL-escaped", token.replace(b".", b"%2E")
    yield "upper case", token.upper()
    yield "a megabyte", b"a" * 1_000_000
    yield "a megabyte behind our header", header + b"." + b"a" * 1_000_000 + b"." + signature
    yield "10k nested arrays, signed so", right.token(b"[" * 10_000 + b"]" * 10_000)
    yield "as many nested arrays as fit, signed so", right.token(b"[" * 2800 + b"]" * 2800)
    yield "as many open brackets as fit, signed so", right.token(b"[" * 5500)
    yield "nested objects, signed so", right.token(b'{"a":' * 900 + b"1" + b"}" * 900)
    yield "1e5 claims, signed so", right.token({f"c{number}": 1 for number in range(100_000)})
    yield "many claims, signed so", right.token({f"c{number}": 1 for number in range(400)})
    for digits in (400, 4301, 5500):
        big = compact(claims()).replace(str(1_800_000_900).encode(), b"9" * digits)
        yield f"exp of {digits} digits, signed so", right.token(big)


def everything(algorithm: Algorithm) -> Named:
    for kind in (headers, embedded_keys, signatures, confused_keys, shapes):
        yield from kind(algorithm)


def _public_pem(key: Any) -> bytes:
    text: bytes = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return text


WATCHED = (
    "open",
    "socket.",
    "subprocess.",
    "os.",
    "shutil.",
    "sqlite3.",
    "urllib.",
    "import",
    "exec",
    "ctypes.",
)


def main() -> None:
    """Print each audited event while hostile tokens are verified; nothing is what it should print."""
    watching = False
    seen: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event.startswith(WATCHED):
            seen.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(note)
    for algorithm in Algorithm:
        tokens = forge(algorithm).tokens
        accepted(tokens, issue(tokens))
        made = list(everything(algorithm))
        watching = True
        passed = [name for name, token in made if accepted(tokens, token, NOW)]
        watching = False
        seen.extend(f"accepted: {name}" for name in passed)
        print(f"{algorithm.value} {len(made)}")  # noqa: T201 - read by the test
    print("\n".join(seen))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
