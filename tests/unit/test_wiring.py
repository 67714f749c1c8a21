from __future__ import annotations

import asyncio
import inspect
import os
import signal
from pathlib import Path

import pytest

from sendledger import wiring
from sendledger.config import ROLES as METRICS_ORDER
from sendledger.config import Settings, load
from sendledger.demo.ports import free_run
from sendledger.edges.system_record import OtherSystemError
from sendledger.life import Life
from sendledger.up import START_ORDER, STOP_ORDER, roles_for
from sendledger.wiring import ROLES, EndedByItselfError, Role, run_role, serve_of


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_its_code(role: Role) -> None:
    """Each role is one coroutine function over settings and life."""
    serve = serve_of(role)
    assert inspect.iscoroutinefunction(serve)
    assert list(inspect.signature(serve).parameters) == ["settings", "life"]


def test_every_role_has_its_place() -> None:
    """Each role is started, stopped and has a metrics port, each exactly once."""
    assert set(START_ORDER) == set(STOP_ORDER) == set(ROLES)
    assert tuple(ROLES) == METRICS_ORDER


def test_what_feeds_the_others_stops_first() -> None:
    """The receiver listens before the sender calls and until it has ended; the folds see what both wrote."""
    assert START_ORDER.index("receiver") < START_ORDER.index("sender")
    assert STOP_ORDER.index("sender") < STOP_ORDER.index("receiver") < STOP_ORDER.index("fold")
    assert STOP_ORDER[0] == "api"


def test_nobody_sends_without_address_and_key() -> None:
    """The sender is only started when both the provider's address and its key are set."""
    address, key = {"SENDLEDGER_PROVIDER_URL": "https://p.example/"}, {"SENDLEDGER_PROVIDER_API_KEY": "k"}
    assert "sender" not in roles_for(load({}, None))
    assert "sender" not in roles_for(load(address, None))
    assert "sender" not in roles_for(load(key, None))
    assert set(roles_for(load({**address, **key}, None))) == set(ROLES)


def settings(directory: Path) -> Settings:
    """Settings with a metrics port that is free."""
    return load({"SENDLEDGER_DATA_DIR": str(directory), "SENDLEDGER_METRICS_PORT": str(free_run(5))}, None)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is there and is ours."""

    async def at_once(*_arguments: object, **_options: object) -> None:
        return

    monkeypatch.setattr(wiring, "wait_for_broker", at_once)
    monkeypatch.setattr("sendledger.edges.system_record.confirm", at_once)


async def test_a_signal_stops_a_role(tmp_path: Path, fits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM becomes `life.stop`, also when it comes while the role starts; the role ends in its own time."""
    story: list[str] = []

    async def serve(_settings: Settings, life: Life) -> None:
        story.append("begun")
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(life.stop.wait(), 20)
        story.append("finished")

    monkeypatch.setattr(wiring, "serve_of", lambda _role: serve)
    await run_role("fold", settings(tmp_path))
    assert story == ["begun", "finished"]


async def test_a_role_that_ends_unasked_is_an_error(
    tmp_path: Path, fits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that returns although nobody asked it to is started again by its supervisor: it must not look clean."""

    async def serve(_settings: Settings, _life: Life) -> None:
        return

    monkeypatch.setattr(wiring, "serve_of", lambda _role: serve)
    with pytest.raises(EndedByItselfError, match="merge"):
        await run_role("merge", settings(tmp_path))


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_refuses_another_installations_log(
    role: Role, tmp_path: Path, fits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another pepper or partition count no role works on the log; the receiver, which listens first, ends."""
    worked: list[str] = []

    async def other(*_arguments: object, **_options: object) -> None:
        raise OtherSystemError("another pepper")

    async def serve(_settings: Settings, life: Life) -> None:
        worked.append("begun")
        await life.stop.wait()

    monkeypatch.setattr("sendledger.edges.system_record.confirm", other)
    monkeypatch.setattr(wiring, "serve_of", lambda _role: serve)
    with pytest.raises(OtherSystemError):
        await asyncio.wait_for(run_role(role, settings(tmp_path)), 20)
    assert worked == (["begun"] if role == "receiver" else [])


async def test_a_role_that_waits_for_its_broker_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away is waited for, and SIGTERM ends the waiting."""

    async def for_ever(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(wiring, "wait_for_broker", for_ever)
    await asyncio.wait_for(run_role("fold", settings(tmp_path)), 20)
