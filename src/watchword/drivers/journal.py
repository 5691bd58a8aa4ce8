"""The file that events go to as lines of JSON, each as it happens: a copy that outlives process and database.

A line is one write with O_APPEND, so that any number of processes share a file and their lines stay whole. It is
handed to the kernel and not waited for: a killed process loses nothing, a power cut perhaps the last lines.
Sources: ASVS 5.0 16.4.1–16.4.3.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

# A pipe without a reader is an error and no reason to wait; for a file O_NONBLOCK means nothing.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
for _name in ("O_CLOEXEC", "O_NOCTTY", "O_NONBLOCK"):  # where there are such
    _FLAGS |= getattr(os, _name, 0)


class Journal:
    """The file at `path`, made for its owner alone. It is opened for each line, so that it may be moved away at any
    time (logrotate)."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._torn = False

    def __str__(self) -> str:
        return str(self._path)

    def write(self, line: str) -> None:
        """Append a line. Raises OSError when it is not there as a whole."""
        data = b"\n" * self._torn + line.encode() + b"\n"
        file = os.open(self._path, _FLAGS, 0o600)
        try:
            done = os.write(file, data)
        finally:
            os.close(file)
        self._torn = done < len(data)  # then the next line begins one of its own
        if self._torn:
            raise OSError(errno.ENOSPC, "only a part of a line was written", str(self._path))

    def check(self) -> None:
        """Make the file, if there is none. Raises OSError when it cannot be written to."""
        os.close(os.open(self._path, _FLAGS, 0o600))
