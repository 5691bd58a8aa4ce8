"""How a server of ours logs: lines for people on standard error, events as JSON.

Everything that came from outside is escaped, so that nobody writes lines of their own (ASVS 5.0 16.2.1, 16.4.1;
SECURITY-TARGET attack 95).
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from watchword.core.record import Recorded, json_line
from watchword.events import Event


class Line(logging.Formatter):
    """`2026-01-31T12:00:00Z WARNING watchword.feed: …`; an event is one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            return json_line(Recorded(getattr(record, "event_id", ""), event))
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{at} {record.levelname} {record.name}: {_escaped(record.getMessage())}"
        if record.exc_info:
            text = "\n".join([text, *map(_escaped, self.formatException(record.exc_info).splitlines())])
        return text


def configure(level: int = logging.INFO) -> None:
    """Send all logging of this process to standard error, in our lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")
