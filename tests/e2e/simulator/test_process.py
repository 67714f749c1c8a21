"""The simulator as a process: addresses, signals, and a ledger that survives kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from sendledger.simulator.ledger_reader import read_ledger
from sendledger.wire.sendsms import Accepted, decode_response
from tests.support.processes import kill, until
from tests.support.simulation import TO, request, submit
from tests.support.simulator_process import running


async def wrong(*argv: str) -> tuple[int | None, str]:
    """Exit code and standard error of a start that fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sendledger.simulator", *argv, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(20):
        _, error = await process.communicate()
    return process.returncode, error.decode()


async def test_an_answer_is_in_the_ledger_before_it_is_seen(tmp_path: Path) -> None:
    """Kill -9 right after an answer: the submission and its postbacks are in the file, whole."""
    async with running(tmp_path) as it:
        seen = await submit(it.url)
        kill(it.process.pid)
        await it.process.wait()
    assert decode_response(seen.body, TO) == Accepted("SMS_1")
    (message,) = read_ledger(it.ledger).messages
    assert [line.tracking_id for line in message.accepted] == ["SMS_1"]
    assert [post.entry.claim for post in message.postbacks] == ["sent", "delivered"]


async def test_no_answer_is_missing_after_a_kill_under_load(tmp_path: Path) -> None:
    """Calls from many callers, killed in the middle: whoever has an answer is in the ledger."""
    answered: list[str] = []

    async def caller(number: int) -> None:
        with contextlib.suppress(ConnectionError, IndexError):
            for call in range(1000):
                to = f"1555{number:03}{call:04}"
                answer = decode_response((await submit(it.url, request(to))).body, to)
                if isinstance(answer, Accepted):
                    answered.append(answer.tracking_id)

    async with running(tmp_path) as it:
        callers = asyncio.gather(*(caller(number) for number in range(16)))
        await until(lambda: len(answered) >= 200, "200 answers")
        kill(it.process.pid)
        await callers
    truth = read_ledger(it.ledger)
    known = {line.tracking_id for message in truth.messages for line in message.accepted}
    assert len(answered) >= 200
    assert set(answered) <= known
    assert truth.torn <= 1


async def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    """Exit code 0, also while a call hangs and postbacks are pending; nothing on standard error."""
    async with running(tmp_path, "--misbehave", "hang_after=1", "--callback-url", "http://127.0.0.1:9/") as it:
        call = asyncio.create_task(submit(it.url))
        await until(lambda: b'"kind":"submission"' in it.ledger.read_bytes(), "the call was taken")
        it.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            _, error = await it.process.communicate()
        assert (it.process.returncode, error) == (0, b"")
        assert (await call).raw == b""


async def test_a_reset_by_the_process_is_a_reset(tmp_path: Path) -> None:
    """Under the event loop of the program, too, a reset reaches the caller as RST."""
    async with running(tmp_path, "--misbehave", "reset_after=1") as it:
        assert (await submit(it.url)).reset


async def test_the_address_is_written_for_those_who_wait(tmp_path: Path) -> None:
    """`--address-file` has the address that was printed."""
    file = tmp_path / "address"
    async with running(tmp_path, "--address-file", str(file)) as it:
        assert file.read_text().strip() == it.url


async def test_the_ledger_is_appended_to(tmp_path: Path) -> None:
    """A second run keeps the first one's lines; both begin their TRACKINGIDs anew."""
    for _ in range(2):
        async with running(tmp_path) as it:
            await submit(it.url)
    truth = read_ledger(tmp_path / "ledger.jsonl")
    assert [line.tracking_id for message in truth.messages for line in message.accepted] == ["SMS_1", "SMS_1"]


async def test_a_wrong_start_is_one_line_and_2(tmp_path: Path) -> None:
    """A setting that cannot be: exit code 2 and one line; a ledger that cannot be opened or a port that is taken: 1."""
    code, error = await wrong("--host", "192.0.2.1")
    assert (code, error.count("\n")) == (2, 1)
    code, error = await wrong("--ledger", str(tmp_path / "no" / "such" / "place"))
    assert (code, error.count("\n")) == (1, 1)
    async with running(tmp_path) as it:
        code, error = await wrong("--ledger", str(tmp_path / "other"), "--port", it.url.rsplit(":", 1)[1].strip("/"))
        assert (code, error.count("\n")) == (1, 1)


async def test_a_full_disk_ends_it(tmp_path: Path) -> None:
    """Without a ledger there is no truth: the process ends with 1 and says why, and gives no answer."""
    code, error = await wrong("--ledger", "/dev/full")
    assert code == 1
    assert "No space" in error
