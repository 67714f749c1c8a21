"""The fold on stock Faust: the recipient's document in a table (in memory, with its changelog), one agent.

Arguments: bootstrap servers, name, directory, events, output topic, source topics.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

from tests.bench.peers.recipient import Document, Tally, apply, decode

PARTITIONS = 8


async def main(*arguments: str) -> None:
    """Fold to the end; print how long it took."""
    servers, name, directory, events, output, *sources = arguments
    out = AIOKafkaProducer(bootstrap_servers=servers, compression_type="lz4")
    await out.start()
    told: list[asyncio.Task[Any]] = []

    def write(key: bytes, value: bytes) -> None:
        told.append(asyncio.create_task(out.send_and_wait(output, value, key)))

    tally = Tally(int(events), write)
    finished = asyncio.Event()
    app = faust.App(
        name,
        broker=f"kafka://{servers}",
        store="memory://",
        datadir=directory,
        topic_partitions=PARTITIONS,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=1.0,
    )
    table = app.Table("recipients", partitions=PARTITIONS, key_type=str)

    async def fold(stream: Any) -> None:
        async for key, value in stream.items():
            tally.begin()
            document: Document = table.get(key) or {"m": {}, "t": {}}
            change = apply(document, decode(value))
            table[key] = document
            if tally.done(change):
                finished.set()

    log = app.topic(*sources, key_type=str, key_serializer="raw", value_serializer="raw")
    app.agent(log, name="fold")(fold)
    await app.start()
    await finished.wait()
    tally.tell()
    await asyncio.gather(*told)
    await app.stop()
    await out.stop()
    print(tally.result(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
