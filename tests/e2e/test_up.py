from __future__ import annotations

import json
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sendledger.edges.running import find
from tests.support.canaries import Found, files
from tests.support.instance import Api, Program, environment, running, sendledger
from tests.support.processes import alive, descendants, processes_about, until

PEOPLE = "to,text\n15551230001,Hello Ann\n15551230002,\nnobody,\n+1 555 123 0003,\n15551230001,\n"
READABLE = "a-token-of-an-installation-from-before"
SEND = ("send", "spring", "--sender", "60856", "--text", "Hello", "--recipients", "people.csv")


@asynccontextmanager
async def simulator(directory: Path) -> AsyncIterator[str]:
    """A provider that does as it is told; its address."""
    address = directory / "simulator.url"
    arguments = ("simulator", "--ledger", str(directory / "ledger.jsonl"), "--address-file", str(address))
    async with running("simulator", *arguments, env=environment(directory / "unused"), directory=directory):
        await until(address.exists, "the simulator listens")
        yield address.read_text().strip()


@asynccontextmanager
async def instance(directory: Path, **over: str) -> AsyncIterator[tuple[Program, Mapping[str, str], Api]]:
    """`sendledger up`, ready."""
    env = environment(directory / "data", **over)
    async with running("up", "up", env=env, directory=directory) as program:
        api = Api(env)
        await api.ready()
        yield program, env, api


async def test_the_verbs_join_a_running_instance(tmp_path: Path) -> None:
    """From the CSV file to the numbers, every verb works on the instance that runs on the data directory."""
    (tmp_path / "people.csv").write_text(PEOPLE)
    async with (
        simulator(tmp_path) as provider,
        instance(tmp_path, PROVIDER_URL=provider, PROVIDER_API_KEY="a-key-that-nobody-checks") as (_, env, api),
    ):

        async def verb(*arguments: str, code: int = 0) -> str:
            ended = await sendledger(*arguments, env=env, directory=tmp_path)
            assert ended.code == code, f"{arguments}: {ended}"
            assert "Traceback" not in ended.err
            return ended.out + ended.err

        dry = await verb(*SEND, "--dry-run", code=1)
        assert "3 would be accepted, 2 refused" in dry
        assert "no campaign" in await verb("status", "spring", code=2)
        told = await verb(*SEND, code=1)
        assert "3 accepted, 2 refused" in told
        assert "row 3: to: not a phone number" in told
        assert "row 5: to: duplicate" in told
        await verb(*SEND, code=1)
        await api.until_counts("spring", accepted=3)
        await verb(*SEND, "--again", code=1)
        await api.until_counts("spring", accepted=6)
        assert json.loads(await verb("status", "spring", "--json"))["counts"]["requested"] == 6
        assert "spring" in await verb("status")
        for order in (("pause", "spring"), ("resume", "spring"), ("pause", "*"), ("resume", "*"), ("rate", "50")):
            await verb(*order)
        actions = [entry["what"] for entry in (await api.get("/v1/audit"))["items"]]
        assert {"campaign-paused", "campaign-resumed", "rate-set"} <= set(actions)
        assert "there is no campaign winter" in await verb("pause", "winter", code=2)
        await verb("suppress", "add", "15551230009")
        assert "***009" in await verb("suppress", "list")
        await verb("suppress", "remove", "+15551230009")
        assert "not suppressed" in await verb("suppress", "remove", "15551230009", code=2)
        message = (await api.get("/v1/campaigns/spring/messages"))["items"][0]["message_id"]
        timeline = await verb("message", message)
        assert "send-requested" in timeline
        assert "send-accepted" in timeline
        assert "no doubt" in await verb("resolve", message, "--as", "sent", code=2)
        await verb("dead-letters", "list")
        assert "as they should be" in await verb("topics", "check")
        assert "/postbacks/" in await verb("postback-url")
        await verb("cancel", "spring")
        assert "cancelled" in await verb(*SEND, "--again", code=2)
        assert "no difference" in await verb("verify")


async def test_up_without_a_provider_does_all_but_send(tmp_path: Path) -> None:
    """Without a provider's address and key it says that sending is off, takes messages and keeps them queued."""
    async with instance(tmp_path) as (program, env, api):
        await until(lambda: "Sending is off" in program.out, "it says so")
        assert f"live page            http://127.0.0.1:{env['SENDLEDGER_API_PORT']}/" in program.out
        shown = await sendledger("page", env=env, directory=tmp_path)
        assert shown.out == f"http://127.0.0.1:{env['SENDLEDGER_API_PORT']}/\n"
        assert "sendledger token admin" in shown.err
        (tmp_path / "people.csv").write_text("to\n15551230001\n")
        ended = await sendledger(*SEND, env=env, directory=tmp_path)
        assert ended.code == 0, ended
        await api.until_counts("spring", queued=1)


async def test_up_starts_and_stops_cleanly_and_only_once(tmp_path: Path) -> None:
    """A second instance is refused by name, SIGTERM ends everything, and a second start finds its data.

    The first start tells an admin token that opens then and later, and that stands in no file and no log. One that an
    older installation kept readable opens from then on, and stands nowhere either.
    """
    tokens: list[str] = []
    kept = tmp_path / "data" / "secrets.json"
    for start in range(2):
        async with instance(tmp_path) as (program, env, _api):
            tokens += re.findall(r"shown this once:\n  (\S+)\n", program.out)
            assert (await Api(env, tokens[0]).get("/v1/session"))["scope"] == "admin"
            if start:
                assert (await Api(env, READABLE).get("/v1/session"))["scope"] == "admin"
            second = await sendledger("up", env=env, directory=tmp_path)
            assert second.code == 2
            assert str(program.process.pid) in second.err
            assert "Traceback" not in second.err
            family = descendants(program.process.pid)
            assert len(family) >= 6
            assert await program.stop(signal.SIGTERM) == 0
            assert not any(map(alive, family))
            assert find(tmp_path / "data") is None
            ended = await sendledger("status", env=env, directory=tmp_path)
            assert ended.code == 2
            assert "no Sendledger runs" in ended.err
        for token in (tokens[0], READABLE):
            assert Found(files(tmp_path / "data")).places_of(token) == set()
            assert token not in program.err
        assert program.out.count(tokens[0]) == (start == 0)
        kept.write_text(json.dumps({**json.loads(kept.read_text()), "api_token": READABLE}))
    assert len(tokens) == 1


async def test_a_killed_up_leaves_nothing_behind(tmp_path: Path) -> None:
    """Kill -9 of `up` ends its roles and its broker, and the file that it left is known to be stale."""
    async with instance(tmp_path) as (program, env, _api):
        await program.stop(signal.SIGKILL)
        await until(lambda: not processes_about(tmp_path), f"nothing runs: {processes_about(tmp_path)}")
        assert (tmp_path / "data" / "running.json").exists()
        assert (await sendledger("status", env=env, directory=tmp_path)).code == 2
    async with instance(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "eighty"),
        ("PROVIDER_URL", "ftp://provider"),
        ("API_TOKENS", "root:short"),
        ("PARTITIONS", "0"),
        ("RECIPIENT_PEPPER_FILE", "/nonexistent"),
    ],
)
@pytest.mark.parametrize("verb", [("up",), ("status",), ("run", "fold"), ("config",)])
async def test_a_wrong_setting_is_one_clear_line(tmp_path: Path, verb: tuple[str, ...], name: str, value: str) -> None:
    """A setting that cannot be is named in one line, with exit code 2 and no traceback."""
    ended = await sendledger(*verb, env=environment(tmp_path / "data", **{name: value}), directory=tmp_path)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert f"SENDLEDGER_{name}" in ended.err


async def test_another_pepper_is_refused(tmp_path: Path) -> None:
    """A log that was made with one pepper is never continued with another: nothing would be found."""
    async with instance(tmp_path):
        pass
    env = environment(tmp_path / "data", RECIPIENT_PEPPER="another-pepper-than-the-one-before")
    ended = await sendledger("up", env=env, directory=tmp_path)
    assert ended.code == 2
    assert "SENDLEDGER_RECIPIENT_PEPPER" in ended.err
