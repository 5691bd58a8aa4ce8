"""From rows of numbers to Prometheus: several processes' rows as one, families, and the text format.

The library comes with the extra `metrics`; where it is missing that is said when it is needed, and nothing else here
needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from watchword.errors import SettingsError
from watchword.meters import ALL, Meter
from watchword.ports import Row

if TYPE_CHECKING:
    from prometheus_client import Metric

METERS: Mapping[str, Meter] = {meter.name: meter for meter in ALL}
Values = dict[tuple[str, tuple[str, ...]], float]


def require_library() -> None:
    """Raises SettingsError without the extra."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise SettingsError("Metrics need their library: pip install 'watchword[metrics]'.") from error


def merged(rows: Iterable[Row]) -> Values:
    """One value for each name and its labels. What is no meter of this version is left out."""
    values: Values = {}
    for name, labels, value in rows:
        meter, key = METERS.get(name), (name, tuple(labels))
        if meter is None or len(key[1]) != len(meter.labels):
            continue
        if key not in values:
            values[key] = value
        else:
            values[key] = max(values[key], value) if meter.largest else values[key] + value
    return values


def families(values: Values) -> list[Metric]:
    """As prometheus_client has them, in the order of `meters.ALL`. Raises SettingsError."""
    require_library()
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    found: list[Metric] = []
    for meter in ALL:
        mine = {labels: value for (name, labels), value in values.items() if name == meter.name}
        if not mine:
            continue
        kind = CounterMetricFamily if meter.counts else GaugeMetricFamily
        family = kind(meter.name, meter.about, labels=meter.labels)
        for labels in sorted(mine):
            family.add_metric(labels, mine[labels])
        found.append(family)
    return found


def text(values: Values) -> bytes:
    """The text format, version 0.0.4, which every scraper reads. Raises SettingsError."""
    known = families(values)
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Given(Collector):
        def collect(self) -> Iterable[Metric]:
            return known

    registry = CollectorRegistry()
    registry.register(Given())
    return bytes(generate_latest(registry))


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
