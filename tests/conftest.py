"""What every tier shares."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from sendledger.config import Settings
from tests.support.kafka import SharedBroker, fresh_topics, system
from tests.support.room import entered

# A deadline would be a promise about the machine's speed; a failing seed is printed so that it can be run again.
settings.register_profile("sendledger", deadline=None, print_blob=True)
settings.register_profile("quick", settings.get_profile("sendledger"), max_examples=25)  # of `make check`
settings.load_profile("sendledger")


def pytest_configure() -> None:
    """One seed for all that is random about kills and orders, the same in every process of a run."""
    os.environ.setdefault("CHAOS_SEED", str(random.randrange(10**6)))


def pytest_report_header() -> str:
    """CHAOS_SEED=n repeats a run's choices."""
    return f"CHAOS_SEED={os.environ['CHAOS_SEED']}"


class _ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """The tests of one file run in one process; those of the browser too, around one system for all."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder.endswith("/browser") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """How several processes share the tests."""
    return _ByFile(config, log)


@pytest.fixture(scope="session")
def _empty_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, _empty_directory: Path) -> None:
    """No setting of the machine reaches a test, and no .env of the directory where it is run."""
    for name in [n for n in os.environ if n.startswith(("SENDLEDGER_", "KAFKA_")) and n != "SENDLEDGER_KAFKA_JARS"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(_empty_directory)


@pytest.fixture(autouse=True)
def _room(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Among several test processes: one that is marked `alone` runs beside no other."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    shared = tmp_path_factory.getbasetemp().parent  # each process has a directory of its own below
    with entered(shared, alone=request.node.get_closest_marker("alone") is not None):
        yield


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedBroker]:
    """The run's broker, without topics until somebody creates them."""
    shared = SharedBroker(tmp_path_factory)
    yield shared
    shared.stop()


@pytest.fixture
async def shared_kafka(shared_broker: SharedBroker, tmp_path: Path) -> Settings:
    """Settings on the run's broker, with all topics empty."""
    settings = shared_broker.settings(tmp_path)
    await fresh_topics(settings)
    return settings


@pytest.fixture
async def fresh_kafka(tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings on a broker of the test's own, with all topics; for tests that break it."""
    async with system(tmp_path) as settings:
        yield settings


@pytest.hookimpl(trylast=True)  # behind pytest's own last look, which would make a crash of what a failed test holds
def pytest_unconfigure() -> None:
    """What a fold in this process froze may be freed now: DuckDB's library complains at exit of what nobody freed."""
    gc.unfreeze()
