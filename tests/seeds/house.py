"""A running server for a document's client: https under a name of its own, a certificate that the clients trust, the
names looked up on this machine alone, and a mail server of its own if it sends mail.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.nodes import run_node
from tests.seeds.mailbox import Mailbox, receiving
from tests.seeds.settings import COMMON, SEEDS
from tests.servers import EMAIL, PASSWORD, environment, free_port, watchword

HOST, PAGE_HOST = "api.example.com", "app.example.com"
USERNAME = "ada"


@dataclass(frozen=True)
class House:
    """Where it answers (`url`, which only the clients' own look-up can find), what its page's origin is, the
    certificate to trust, and where its mail arrives, if it sends any."""

    name: str
    url: str
    page: str
    port: int
    certificate: Path
    env: dict[str, str]
    mailbox: Mailbox | None = None

    def curl(self, *words: str, jar: Path | None = None) -> subprocess.CompletedProcess[str]:
        """curl, with a cookie jar if one is given; the answer's head and body on standard output."""
        kept, held = [], ""
        if jar is not None:
            # curl 7.88 reads a jar again at its end and then keeps, of two cookies of one name, an old one that the
            # answer has replaced; from standard input it cannot. And it leaves a file as it is when nothing is left.
            kept = ["--cookie", "-", "--cookie-jar", str(jar)]
            held = jar.read_text() if jar.exists() else ""
            jar.unlink(missing_ok=True)
        resolved = ["--resolve", f"{HOST}:{self.port}:127.0.0.1", "--cacert", str(self.certificate)]
        command = [
            "curl",
            "--silent",
            "--show-error",
            "--include",
            "--max-time",
            "10",
            *resolved,
            *kept,
            *words,
        ]
        return subprocess.run(command, input=held, capture_output=True, text=True, check=True)

    @property
    def database(self) -> Path:
        return self.certificate.parent / "watchword.db"

    def client(self) -> httpx2.Client:
        """A Python client with a cookie jar; use it within `names_on_this_machine`."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        return httpx2.Client(base_url=self.url, verify=context)

    def node(self, script: str, **facts: Any) -> Any:
        """What a program of tests/node printed, as JSON, when told where this house is, and `facts`. It imports
        `./here.mjs`, which finds our names on this machine."""
        told = {"url": self.url, "page": self.page, "email": EMAIL, "password": PASSWORD} | facts
        if self.mailbox is not None:
            told["mailbox"] = str(self.mailbox.folder)
        env = {"NODE_EXTRA_CA_CERTS": str(self.certificate)}
        return run_node(script, stdin=told, env=env)

    @property
    def mail(self) -> Mailbox:
        assert self.mailbox is not None, f"{self.name} sends no mail"
        return self.mailbox

    @property
    def settings(self) -> dict[str, str]:
        """What it was started with, by the settings' names."""
        start = "WATCHWORD_"
        return {
            name.removeprefix(start).lower(): text
            for name, text in self.env.items()
            if name.startswith(start)
        }

    def watchword(self, *words: str, stdin: str = "") -> str:
        """A verb of the command line on this house's database."""
        return watchword(*words, env=self.env, stdin=stdin)


@contextmanager
def running(name: str, folder: Path, **more: str) -> Iterator[House]:
    """The server of a document, in which Ada has an account. `more` are settings besides the document's."""
    port = free_port()
    url, page = f"https://{HOST}:{port}", f"https://{PAGE_HOST}:{port}"
    settings = COMMON | SEEDS[name] | {"url": url, "trusted_origins": page} | more
    key, certificate = _certificate(folder)
    with ExitStack() as street, TemporaryFile() as log:
        mailbox = None
        if "smtp_url" in settings:
            mailbox, settings["smtp_url"] = street.enter_context(receiving(folder / "mail"))
        env = environment(f"sqlite:///{folder / 'watchword.db'}", **settings)
        house = House(name, url, page, port, certificate, env, mailbox)
        house.database.write_bytes(inhabited())
        command = [sys.executable, "-m", "uvicorn", "tests.seeds.app:app", f"--port={port}"]
        tls = [f"--ssl-keyfile={key}", f"--ssl-certfile={certificate}", "--log-level=warning"]
        process = subprocess.Popen([*command, *tls], env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_until_ready(process, port, certificate)
            yield house
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(15)
            log.seek(0)
            said = log.read().decode(errors="replace")
            assert "Traceback" not in said, said


def house_of(seed: str, **options: str) -> Any:
    """A fixture: a seed's house for a module, whose names its clients find."""

    @pytest.fixture(scope="module")
    def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
        with running(seed, tmp_path_factory.mktemp("house"), **options) as house, names_on_this_machine():
            yield house

    return house


@contextmanager
def names_on_this_machine() -> Iterator[None]:
    """Look-ups of our hosts by clients in this process find this machine."""
    ours = {HOST, PAGE_HOST}
    elsewhere = socket.getaddrinfo

    def here(host: object, *rest: object, **options: object) -> object:
        return elsewhere("127.0.0.1" if host in ours else host, *rest, **options)  # type: ignore[arg-type]

    socket.getaddrinfo = here  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = elsewhere


@cache
def inhabited() -> bytes:
    """A database in which Ada has an account, the same in every house: making it takes as long as a server's start."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "watchword.db"
        env = environment(f"sqlite:///{file}")
        watchword("migrate", env=env)
        words = ("user", "create", EMAIL, "--username", USERNAME, "--password-stdin")
        watchword(*words, env=env, stdin=PASSWORD)
        with closing(sqlite3.connect(file)) as database:
            return database.serialize()  # and not the file alone, in case that its log holds something


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, certificate: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as plain:
                context.wrap_socket(plain, server_hostname=HOST).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the server did not start")


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A key, and a certificate for our hosts that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    hosts: list[x509.GeneralName] = [
        x509.DNSName(HOST),
        x509.DNSName(PAGE_HOST),
        x509.IPAddress(ip_address("127.0.0.1")),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_file, file = folder / "key.pem", folder / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return key_file, file
