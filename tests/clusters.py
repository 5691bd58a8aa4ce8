"""A PostgreSQL and a Redis of a test's own, which it may stop, kill and fill: never the ones that others use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import redis

from tests.needs import postgres_binaries, redis_server_path
from tests.servers import free_port


@dataclass
class Cluster:
    """A PostgreSQL below `home`, an empty folder."""

    home: Path
    binaries: Path
    options: str
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
            shutil.chown(self.home, "postgres")
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    @property
    def data(self) -> Path:
        return self.home / "data"

    def keep(self, name: str) -> None:
        """A copy of the data, of a server that is stopped."""
        subprocess.run(["cp", "-a", self.data, self.home / name], check=True)

    def put_back(self, name: str) -> None:
        """The data as they were, while the server is stopped."""
        shutil.rmtree(self.data)
        subprocess.run(["cp", "-a", self.home / name, self.data], check=True)

    def copy(self, other: Cluster) -> None:
        """As a replica of a cluster that runs."""
        if os.geteuid() == 0:
            shutil.chown(self.home, "postgres")
        self._run("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", other.url)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.home} "
        self._run("pg_ctl", "-l", str(self.home / "log"), "-w", "-o", options + self.options, "start")

    def stop(self, how: str = "immediate") -> None:
        """`immediate` is as a crash: connections are cut, and the next start recovers from the log."""
        self._run("pg_ctl", "-w", "-m", how, "stop")

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *words: str) -> None:
        as_whom = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_whom, str(self.binaries / program), "-D", str(self.data), *words]
        done = subprocess.run(
            command,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert done.returncode == 0, f"{program}: {done.stderr.decode()}"


@contextmanager
def own_postgres(options: str = "", *, copy_of: Cluster | None = None) -> Iterator[Cluster]:
    """A new cluster or replica, gone at the end. `options` are the server's (`-c name=value`)."""
    binaries = postgres_binaries()
    # Not below a test's own folder, which nobody else may enter.
    home = Path(mkdtemp(prefix="watchword-postgres-"))
    cluster = Cluster(home, binaries, options)
    try:
        if copy_of is None:
            cluster.make()
        else:
            cluster.copy(copy_of)
        cluster.start()
        yield cluster
    finally:
        if (cluster.data / "postmaster.pid").exists():
            cluster.stop()
        shutil.rmtree(home)


@dataclass
class OwnRedis:
    """A running redis-server that keeps nothing on any disk."""

    path: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            self.path,
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                assert self.process.poll() is None, "redis-server has ended"
                time.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)


@contextmanager
def own_redis() -> Iterator[OwnRedis]:
    server = OwnRedis(redis_server_path())
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.kill()
