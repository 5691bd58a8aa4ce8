"""Real SMTP servers on this machine, in threads of their own, that take mail, refuse it, stall or hang up as they are
told; with certificates made for the test."""

import asyncio
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers import free_port

HERE = "127.0.0.1"
ELSEWHERE = "127.0.0.2"
"""An address of this machine that is not known to be one, so that nothing is said to it in the clear."""
USER, PASSWORD = "postmaster", "canary/p@ss word"
GONE = "gone"
"""An answer that is none: the connection ends."""


@dataclass
class Post:
    """A server's handler. `answers` of a stage (MAIL, RCPT, DATA) are given one by one, then all is well; a number is
    a stall in seconds. `letters` are those that it has taken over, whether it could say so or not."""

    answers: dict[str, list[str | float]] = field(default_factory=dict)
    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    connections: int = 0

    async def handle_EHLO(  # noqa: N802 - named by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.seen.append("EHLO")
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802 - named by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer("MAIL", server)
        if answer.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(  # noqa: N802 - named by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer("RCPT", server)
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        answer: Any = self.answers.get("DATA", ["250 "])[:1]
        if not str((answer or ["250"])[0]).startswith(("4", "5")):
            assert isinstance(envelope.content, bytes)
            parsed = message_from_bytes(envelope.content, policy=SMTPUTF8)
            assert isinstance(parsed, EmailMessage)
            self.letters.append(parsed)
            self.envelopes.append(envelope)
        return await self._answer("DATA", server)

    async def _answer(self, stage: str, server: SMTP) -> str:
        self.seen.append(stage)
        answers = self.answers.get(stage)
        answer = answers.pop(0) if answers else "250 OK"
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return "250 OK, at last"
        if answer == GONE:
            transport: Any = server.transport
            transport.abort()
        return answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    def until(self, count: int, *, seconds: float = 20) -> None:
        """Wait for that many letters."""
        deadline = time.monotonic() + seconds
        while len(self.letters) < count:
            assert time.monotonic() < deadline, f"{len(self.letters)} of {count} letters came"
            time.sleep(0.02)


class _Controller(Controller):
    def factory(self) -> Any:
        self.handler.connections += 1
        with warnings.catch_warnings(action="ignore"):  # that a password in the clear is none to protect
            return super().factory()  # type: ignore[no-untyped-call]


def parts(letter: EmailMessage) -> list[tuple[str, str]]:
    """Type and text of each part, lines ending as they did before the journey."""
    return [
        (part.get_content_type(), part.get_content().replace("\r\n", "\n")) for part in letter.iter_parts()
    ]


@contextmanager
def smtp_server(
    post: Post,
    *,
    host: str = HERE,
    port: int | None = None,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    auth: bool = False,
    utf8: bool = True,
) -> Iterator[str]:
    """`host:port` of a running server."""
    options: dict[str, Any] = {"auth_require_tls": False, "enable_SMTPUTF8": utf8, "timeout": 60}
    if starttls is not None:
        options |= {"tls_context": starttls, "require_starttls": True}
    if auth:
        options |= {"authenticator": post.authenticate, "auth_required": True}
    controller = _Controller(post, hostname=host, port=port or free_port(), ssl_context=tls, **options)
    controller.start()
    post.connections, post.seen = 0, []  # it has looked at itself
    try:
        yield f"{host}:{controller.port}"
    finally:
        controller.stop()


@dataclass(frozen=True)
class Authority:
    """Signs certificates; `file` is for whoever shall trust it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    folder: Path

    @property
    def file(self) -> Path:
        path = self.folder / "authority.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def context(self, name: str) -> ssl.SSLContext:
        """What a server of that name or address speaks TLS with."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, self.certificate.subject, self.key, authority=False)
        chain = self.folder / f"{name}.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        return context


def make_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority for tests")])
    return Authority(key, _certificate("authority", key, subject, key, authority=True), folder)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    subject = issuer if authority else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=authority,
                crl_sign=authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(issuer_key, hashes.SHA256())
    )
