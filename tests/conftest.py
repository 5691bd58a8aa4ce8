"""What holds for every test: one event loop, no deadlines on examples, and in CI no skips."""

from collections.abc import Generator

import hypothesis
import pytest

from tests.needs import everything_is_required

# A busy machine is not a bug: how long one example takes is measured in bench/, not here.
hypothesis.settings.register_profile("watchword", deadline=None)
hypothesis.settings.load_profile("watchword")

_SKIPPED = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SKIPPED] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _note_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _note_skip(collector.config, report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if everything_is_required() and session.config.stash[_SKIPPED]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if everything_is_required() and config.stash[_SKIPPED]:
        terminalreporter.section("skipped, which TEST_REQUIRE=all forbids", red=True)
        for line in config.stash[_SKIPPED]:
            terminalreporter.line(line)


def _note_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as skipped too, but it did run.
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        config.stash[_SKIPPED].append(f"{report.nodeid}: {reason}")
