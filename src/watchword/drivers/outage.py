"""Telling that something which protects does not work, once when that begins and once when it is over."""

from __future__ import annotations

from watchword import events
from watchword.events import Event
from watchword.ports import Clock, EventSink


class Outage:
    """Of one thing, `what`."""

    def __init__(self, emit: EventSink, clock: Clock, what: str) -> None:
        self._emit, self._clock, self._what = emit, clock, what
        self._lasts = False

    def begins(self) -> bool:
        """Whether it is new; told only then."""
        if self._lasts:
            return False
        self._lasts = True  # before it is told: telling may fail for the same reason
        self._emit(Event(events.CONTROL_FAILED, self._clock.now(), detail=self._what))
        return True

    def ends(self) -> None:
        if self._lasts:
            self._lasts = False
            self._emit(Event(events.CONTROL_RESTORED, self._clock.now(), detail=self._what))
