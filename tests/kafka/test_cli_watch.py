"""`sendledger status --watch` and `sendledger message` as somebody sees them: processes, Kafka, a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger_schemas.campaigns import CampaignPaused
from sendledger_schemas.envelope import encode, event
from sendledger_schemas.topics import (
    API_RESPONSES,
    CAMPAIGN_STATE,
    CAMPAIGNS,
    MESSAGE_STATE,
    POSTBACKS,
    SEND_ATTEMPTS,
    SEND_REQUESTS,
)
from tests.kafka.test_api_timeline import Log, accepted, claimed, notice, requested, state_of
from tests.support.api import NUMBER, TEXT
from tests.support.instance import COMMAND, cli, environment, running
from tests.support.kafka import eventually
from tests.support.states import NOW, campaign_state, registration

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def cli_environment(settings: Settings) -> dict[str, str]:
    """A verb's environment on a test's Kafka."""
    assert settings.kafka.bootstrap_servers is not None
    env = environment(settings.data_dir / "cli", RECIPIENT_PEPPER=settings.pepper().decode())
    return {**env, "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers, "TERM": "xterm-256color"}


async def write(settings: Settings, *values: tuple[str, str, bytes]) -> None:
    """Records: topic, key, value."""
    async with producer(settings.kafka) as writer:
        for topic, key, value in values:
            await writer.send_and_wait(topic, value, key=key.encode(), partition=0)


def numbers(requested: int) -> tuple[str, str, bytes]:
    """The campaign's numbers, so many of them requested."""
    state = campaign_state("spring", requested, version=requested)
    return CAMPAIGN_STATE, "spring", state.model_dump_json().encode()


class Terminal:
    """A verb on a terminal of 120 columns, and what it wrote there."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process, self._master = process, master
        self.written = ""
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.written += os.read(self._master, 65_536).decode()
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._master)

    @property
    def plain(self) -> str:
        """Without the terminal's control sequences."""
        return _ESCAPE.sub("", self.written)

    async def ctrl_c(self) -> int:
        """Press it; the exit code."""
        os.write(self._master, b"\x03")
        return await asyncio.wait_for(self.process.wait(), 20)


@contextlib.asynccontextmanager
async def terminal(*arguments: str, settings: Settings) -> AsyncIterator[Terminal]:
    """A verb on a pseudo-terminal while the context lasts."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def own() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=cli_environment(settings), cwd=settings.data_dir,
        stdin=slave, stdout=slave, stderr=slave, preexec_fn=own,
    )  # fmt: skip
    os.close(slave)
    it = Terminal(process, master)
    try:
        yield it
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)


@pytest.fixture
async def spring(shared_kafka: Settings) -> Settings:
    """A Kafka with one campaign of five messages."""
    await write(shared_kafka, (CAMPAIGNS, "spring", encode(registration("spring"))), numbers(5))
    return shared_kafka


async def test_a_terminal_shows_the_numbers_in_place_until_ctrl_c(spring: Settings) -> None:
    """What is new replaces what stood there; a pause is told with who and why; Ctrl-C ends it with 0."""
    async with terminal("status", "--watch", settings=spring) as it:
        await eventually(lambda: re.search(r"spring\s+running\s+5\b", it.plain), what="five requested")
        await write(spring, numbers(8))
        await eventually(lambda: re.search(r"spring\s+running\s+8\b", it.plain), what="eight requested")
        paused = CampaignPaused(campaign_id="spring", by="user:ann", reason="wrong link")
        await write(spring, (CAMPAIGNS, "spring", encode(event(paused, id="p", source="test", time=NOW))))
        await eventually(lambda: "paused by user:ann: wrong link" in it.plain, what="the pause")
        assert "\x1b[1A" in it.written, "it goes up to write over what stood there"
        assert await it.ctrl_c() == 0
    assert "Traceback" not in it.plain
    assert "Aborted" not in it.plain


async def test_elsewhere_each_change_is_a_report(spring: Settings, tmp_path: Path) -> None:
    """Without a terminal nothing is written over: a report a change, one JSON document a line with --json."""
    env = cli_environment(spring)
    async with (
        running("text", "status", "spring", "--watch", env=env, directory=tmp_path) as text,
        running("json", "status", "spring", "--watch", "--json", env=env, directory=tmp_path) as as_json,
    ):
        await eventually(lambda: "balance: 5 requested" in text.out and as_json.out, what="five requested")
        await write(spring, numbers(8))
        await eventually(lambda: "balance: 8 requested" in text.out, what="eight requested")
        await eventually(lambda: as_json.out.count("\n") == 2, what="two documents")
        assert [json.loads(line)["counts"]["requested"] for line in as_json.out.splitlines()] == [5, 8]
        assert "\x1b" not in text.out
        assert await text.stop(signal.SIGINT) == 0
        assert await as_json.stop(signal.SIGTERM) == 0
        assert "Traceback" not in text.err + as_json.err


async def test_a_message_s_timeline_in_plain_words(shared_kafka: Settings) -> None:
    """Every event with its time, its words, its fields and its place on the log; the number masked."""
    log = Log(shared_kafka)
    offset = await log.write(SEND_REQUESTS, requested())
    await log.write(SEND_ATTEMPTS, claimed())
    await log.write(API_RESPONSES, accepted("m", "SMS_2"))
    await log.write(POSTBACKS, notice("SMS_2"))
    state = state_of(log, offset, tracking_id="SMS_2")
    await write(shared_kafka, (MESSAGE_STATE, "m", state.model_dump_json().encode()))
    told = (await cli(shared_kafka, "message", "m")).out
    sentences = re.findall(r"^\d{4}-\d\d-\d\dT\S+  (.+)$", told, re.MULTILINE)
    assert sentences == [
        "it was asked for",
        "call 1 to the provider begins",
        "call 1: the provider took it as SMS_2",
        "the provider says: the carrier has it",
    ]
    assert re.findall(r"\[(sms\.\S+), partition", told) == [SEND_REQUESTS, SEND_ATTEMPTS, API_RESPONSES, POSTBACKS]
    assert "***888" in told
    assert not {NUMBER, TEXT} & {word for word in (NUMBER, TEXT) if word in told}
    as_json = json.loads((await cli(shared_kafka, "message", "m", "--json")).out)
    assert [step["says"] for step in as_json["timeline"]] == sentences
