"""A PostgreSQL of a test's own, which may be stopped, copied and started again as the shared one may not."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from tests.needs import postgres_binaries
from tests.servers import free_port


@dataclass
class Cluster:
    """A server over the data in `folder`, for loopback alone."""

    binaries: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self) -> None:
        """Durable as in production: what is acknowledged is on the disk."""
        self._run(
            "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-s", "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "fast", "-s", "-w", "stop")

    def copy(self, to: str) -> None:
        """The data as it is, of a server that is stopped."""
        self._run("cp", "-a", self.data, self.folder / to, program=True)

    def put_back(self, copy: str) -> None:
        """The data as it was, while the server is stopped."""
        shutil.rmtree(self.data)
        self._run("cp", "-a", self.folder / copy, self.data, program=True)

    def _run(self, *words: str | Path, program: bool = False) -> None:
        name, *more = map(str, words)
        command = [name if program else str(self.binaries / name), *more]
        if os.geteuid() == 0:  # as which PostgreSQL refuses to run
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        log = self.folder / "log"
        assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A new one that runs; nothing is left of it at the end."""
    made = Cluster(postgres_binaries(), Path(mkdtemp(prefix="ww-pg-")), free_port())
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(made.folder, owner.pw_uid, owner.pw_gid)
    try:
        made.make()
        made.start()
        yield made
    finally:
        try:
            if (made.data / "postmaster.pid").exists():
                made.stop()
        finally:
            shutil.rmtree(made.folder, ignore_errors=True)
