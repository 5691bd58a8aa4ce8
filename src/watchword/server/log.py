"""How a server of ours logs: lines for people on standard error, events as JSON.

Everything that came from outside is escaped, so that nobody writes lines of their own (ASVS 5.0 16.2.1, 16.4.1;
SECURITY-TARGET attack 95).
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from watchword.events import Event


class Line(logging.Formatter):
    """`2026-01-31T12:00:00Z WARNING watchword.feed: …`; an event is one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            return event_line(event)
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{at} {record.levelname} {record.name}: {_escaped(record.getMessage())}"
        if record.exc_info:
            text = "\n".join([text, *map(_escaped, self.formatException(record.exc_info).splitlines())])
        return text


def event_line(event: Event) -> str:
    """One event as a line of JSON, in ASCII: control and direction characters come out as escapes."""
    fields = asdict(event) | {"at": datetime.fromtimestamp(event.at / 1_000_000, UTC).isoformat()}
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def configure(level: int = logging.INFO) -> None:
    """Send all logging of this process to standard error, in our lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")
