"""How often something may be done: a rate, the limits that have a name, and reading both.

Names and grammar are a contract (docs/guides/limits.md). Whose budget a limit counts, and when it is asked, is the
business of whoever asks; how a rate is kept is `core.throttle`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from watchword.spans import DAY, HOUR, MINUTE, SECOND
from watchword.texts import did_you_mean, items

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_RATE = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,4})?([smhd])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` at once, and as many again in each `span` (µs) after that."""

    count: int
    span: int

    @property
    def step(self) -> int:
        """The µs after which one more is free. Rounded down, so that `room` holds `count` of them and no more."""
        return self.span // self.count

    @property
    def room(self) -> int:
        """How far ahead of the clock a budget may be spent."""
        return self.step * self.count


DEFAULTS: Mapping[str, Rate] = MappingProxyType(
    {
        "login": Rate(10, MINUTE),  # an address
        "login_account": Rate(20, HOUR),
        "login_device": Rate(10, HOUR),  # a known device
        "login_all": Rate(50, SECOND),  # everybody together
        "codes": Rate(20, MINUTE),  # an address
        "register_try": Rate(20, HOUR),  # an address
        "register": Rate(5, HOUR),  # an address
        "verify": Rate(10, MINUTE),  # an address
        "verify_link": Rate(10, HOUR),  # a link that was sent
        "verify_resend": Rate(20, HOUR),  # an address
        "forgot": Rate(20, HOUR),  # an address
        "forgot_all": Rate(300, MINUTE),  # everybody together
        "reset": Rate(10, MINUTE),  # an address
        "reset_link": Rate(10, HOUR),  # a link that was sent
        "email_change": Rate(5, HOUR),  # an address that a link would go to
        "email_change_user": Rate(
            3, HOUR
        ),  # who asks for it: fewer, so that nobody spends all that an address has
        "refresh": Rate(120, MINUTE),  # a session
    }
)
"""Every limit. A feature's own is one more line here, a row in the guide, and a call of `flows.limits.admit`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The rates that are in force, by name, in the order of `DEFAULTS`; what is not in here has no limit."""

    rates: tuple[tuple[str, Rate], ...] = tuple(DEFAULTS.items())
    _by_name: Mapping[str, Rate | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", dict.fromkeys(DEFAULTS) | dict(self.rates))

    def __bool__(self) -> bool:
        return bool(self.rates)

    def get(self, name: str) -> Rate | None:
        """None when it is off. Raises KeyError for a misspelt name, which must not be a limit that is off."""
        return self._by_name[name]


def limits(text: str) -> Limits:
    """`on`, `off`, or what differs from the defaults: `login=20/m, refresh=off, codes=5/15m`. Raises ValueError."""
    words = items(text)
    if len(words) == 1 and words[0].lower() in ("on", "off"):
        return Limits() if words[0].lower() == "on" else Limits(())
    rates: dict[str, Rate | None] = dict(DEFAULTS)
    given: set[str] = set()
    for word in words:
        name, equals, rate = word.lower().partition("=")
        if not equals:
            raise ValueError("expected on, off or a list such as login=10/m,refresh=120/m")
        if name not in rates:
            raise ValueError(f"there is no limit {name!r}{did_you_mean(name, rates)}")
        if name in given:
            raise ValueError(f"{name} is given twice")
        given.add(name)
        rates[name] = None if rate == "off" else _rate(name, rate)
    return Limits(tuple((name, rate) for name, rate in rates.items() if rate is not None))


def _rate(name: str, text: str) -> Rate:
    match = _RATE.fullmatch(text)
    span = int(match[2] or 1) * _UNITS[match[3]] if match else 0
    if match is None or span > DAY:
        raise ValueError(f"{name}: expected a rate such as 10/m, 5/15m or 20/h, at most a day, or off")
    return Rate(int(match[1]), span)
