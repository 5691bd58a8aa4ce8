"""Spans, read from the SDK's memory: what there is one of, what it says, and that there is none if nobody listens."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.http.devices import ADA, PASSWORD, House, house
from watchword.core.mail import Letter
from watchword.drivers.tracing import Tracing
from watchword.errors import Unavailable
from watchword.flows.outbox import send_next


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a provider that an app has set would export. The API takes one in the life of a process, so it is asked
    for this one instead."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


async def traced(**texts: str) -> tuple[House, Tracing]:
    """A house whose lifespan has begun, as far as spans go."""
    home = await house(**texts)
    tracing = home.auth.world.spans
    assert isinstance(tracing, Tracing)
    tracing.begin(home.auth.world, home.auth.mailer)
    return home, tracing


def below(spans: tuple[ReadableSpan, ...], above: ReadableSpan) -> list[str]:
    return [span.name for span in spans if span.parent is not None and span.parent == above.context]


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [found] = [span for span in exporter.get_finished_spans() if span.name == name]
    return found


async def test_each_flow_is_a_span_named_after_its_route(exported: InMemorySpanExporter) -> None:
    home, _ = await traced(two_factor="required")
    device = home.device()
    await device.sign_in()
    await device.enter(home.code)
    await device.refresh()
    await device.get("/auth/me")
    await device.delete("/auth/sessions/01890000-0000-7000-8000-000000000000")
    await device.post("/auth/logout")
    flows = [span for span in exported.get_finished_spans() if span.parent is None]
    assert [span.name for span in flows] == [
        "watchword /login",
        "watchword /login/2fa",
        "watchword /refresh",
        "watchword /me",
        "watchword /sessions/{sid}",
        "watchword /logout",
    ]
    assert dict(flows[2].attributes or {}) == {
        "http.route": "/auth/refresh",
        "http.response.status_code": 200,
    }
    assert all(span.status.status_code is StatusCode.UNSET for span in flows)


async def test_hash_and_database_are_spans_within(exported: InMemorySpanExporter) -> None:
    home, _ = await traced()
    await home.signed_in()
    inside = below(exported.get_finished_spans(), named(exported, "watchword /login"))
    assert inside == [
        "watchword store.find_user",
        "watchword hasher.verify",
        "watchword store.insert_quietly",
    ]


async def test_a_refusal_is_told_by_its_code_and_is_no_failure_of_ours(
    exported: InMemorySpanExporter,
) -> None:
    home, _ = await traced()
    await home.device().sign_in(ADA, "not her password")
    span = named(exported, "watchword /login")
    assert span.attributes is not None
    assert span.attributes["error.type"] == "invalid_credentials"
    assert span.status.status_code is StatusCode.UNSET


async def test_a_database_that_is_away_is_a_failure_where_it_was_asked_and_of_the_whole(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = await house()

    async def away(self: object, login: str) -> None:
        raise Unavailable("canary")

    monkeypatch.setattr(type(home.auth.world.store), "find_user", away)
    tracing = home.auth.world.spans
    assert isinstance(tracing, Tracing)
    tracing.begin(home.auth.world, None)
    assert (await home.device().sign_in()).status == 503
    for name in ("watchword store.find_user", "watchword /login"):
        span = named(exported, name)
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["error.type"] == "unavailable"


async def test_a_message_that_is_sent_is_a_span_by_itself(exported: InMemorySpanExporter) -> None:
    home = await house(two_factor="required")

    class Post:
        async def send(self, letter: Letter) -> None: ...

        async def rest(self) -> None: ...

    mailer = Post()
    tracing = home.auth.world.spans
    assert isinstance(tracing, Tracing)
    tracing.begin(home.auth.world, mailer)
    await home.device().sign_in()
    exported.clear()
    assert await send_next(home.auth.world, mailer, [])
    assert [span.name for span in exported.get_finished_spans()] == ["watchword mailer.send"]


async def test_nothing_of_a_person_or_a_secret_is_in_a_span(exported: InMemorySpanExporter) -> None:
    """Attack 96."""
    home, _ = await traced(mode="bearer")
    device = await home.signed_in()
    await device.refresh()
    await home.device(user_agent="canary").sign_in("canary@example.com", "canary-password")
    await device.get("/auth/canary?canary=1")
    user = await home.auth.users.get(ADA)
    told = "".join(span.to_json() for span in exported.get_finished_spans())
    for secret in ("canary", ADA, PASSWORD, device.access, device.held, user.id, "203.0.113.7"):
        assert secret not in told


async def test_afterwards_the_parts_are_as_they_were(exported: InMemorySpanExporter) -> None:
    home, tracing = await traced()
    tracing.end()
    await home.signed_in()
    assert exported.get_finished_spans() == ()
    assert "find_user" not in vars(home.auth.world.store)
    assert "verify" not in vars(home.auth.world.hasher)


async def test_without_a_provider_nothing_is_wrapped() -> None:
    home, tracing = await traced()
    assert not tracing.on
    assert "find_user" not in vars(home.auth.world.store)
    assert (await home.device().sign_in()).status == 200


async def test_without_the_api_nothing_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    home, tracing = await traced()
    assert not tracing.on
    assert (await home.device().sign_in()).status == 200


async def test_lifespan_looks_the_api_up_and_lets_go_of_it(exported: InMemorySpanExporter) -> None:
    home = await house()
    async with home.auth.lifespan():
        await home.signed_in()
    assert named(exported, "watchword /login").attributes
    assert not home.auth.world.spans.on
