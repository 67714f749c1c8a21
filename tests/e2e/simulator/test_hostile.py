"""All that can go wrong at once: the ledger still is the truth about what a receiver and a caller saw."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

from sendledger.simulator.ledger_reader import Truth, read_ledger
from sendledger.simulator.options import parse
from sendledger.simulator.server import Simulator
from sendledger.wire.sendsms import Accepted, decode_response
from sendledger_schemas.ids import body_id
from tests.support.simulation import Sink, quiet, request, sink, submit

SAID = (
    "--preset hostile --time-scale 0 --latency-ms 0-0 --hang-seconds 0.01 --drip-seconds 0 --huge-bytes 100000 "
    "--stray 0.05 --retries 20 --answer-deadline 1 --seed"
)
MESSAGES = 400


async def run(directory: Path, seed: int) -> tuple[dict[str, str], Sink, Truth]:
    """TRACKINGIDs by number as callers read them, what the receiver got, and the ledger."""
    read: dict[str, str] = {}
    limit = asyncio.Semaphore(32)

    async def call(to: str) -> None:
        async with limit:
            with contextlib.suppress(IndexError):
                answer = decode_response((await submit(it.url, request(to))).body, to)
                if isinstance(answer, Accepted):
                    read[to] = answer.tracking_id

    async with sink(lambda n, _: 503 if n % 7 == 0 else 200) as receiver:
        said = f"{SAID} {seed} --ledger {directory / 'ledger'} --callback-url {receiver.url}"
        async with Simulator(parse(said.split(), {})) as it:
            await asyncio.gather(*(call(f"1555{number:07}") for number in range(MESSAGES)))
            await quiet(it)
    return read, receiver, read_ledger(directory / "ledger")


async def test_the_ledger_is_what_everybody_saw(tmp_path: Path) -> None:
    """Each answer read is an accepted call of the ledger, each body received one of its postbacks, try for try."""
    read, receiver, truth = await run(tmp_path, 3)
    accepted = {message.to: [line.tracking_id for line in message.accepted] for message in truth.messages}
    assert all(accepted[to] == [tracking_id] for to, tracking_id in read.items())
    tries: Counter[str] = Counter()
    for message in truth.messages:
        for post in message.postbacks:
            tries[post.entry.body_id] += len(post.tries)
            assert post.acknowledged
    assert Counter(body_id(body) for body in receiver.bodies) == tries
    assert truth.torn == 0


async def test_a_hostile_run_adds_up(tmp_path: Path) -> None:
    """The buckets add up to the messages, nothing is sent twice, and something of each kind happened."""
    _, _, truth = await run(tmp_path, 4)
    summary = truth.summary("77676")
    assert summary.messages == sum(summary.buckets.values()) == MESSAGES
    assert summary.submissions == summary.accepted + summary.throttled + summary.dropped + sum(
        summary.rejected.values()
    )
    assert summary.double == 0
    assert min(summary.repeats, summary.orphans, summary.dropped, summary.never_notified) > 0
    assert {"delivered", "undelivered", "sent", "rejected", "queued", "in_doubt"} <= set(summary.buckets)
