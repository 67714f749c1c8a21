"""The fold on Quix Streams: the recipient's document in its RocksDB state with a changelog, commits every second.

Arguments: bootstrap servers, name, directory of the state, events, output topic, source topics.
"""

from __future__ import annotations

import sys
from functools import reduce
from typing import Any

from confluent_kafka import Producer
from quixstreams import Application

from tests.bench.peers.recipient import Document, Tally, apply, decode


def main(*arguments: str) -> None:
    """Fold to the end; print how long it took."""
    servers, name, directory, events, output, *sources = arguments
    out = Producer({"bootstrap.servers": servers, "compression.type": "lz4"})
    tally = Tally(int(events), lambda key, value: out.produce(output, key=key, value=value))
    app = Application(
        broker_address=servers,
        consumer_group=name,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=directory,
        producer_extra_config={"compression.type": "lz4"},
        loglevel="WARNING",
    )

    def fold(value: bytes, state: Any) -> None:
        tally.begin()
        document: Document = state.get("d") or {"m": {}, "t": {}}
        change = apply(document, decode(value))
        state.set("d", document)
        tally.done(change)

    topics = [app.topic(source, value_deserializer="bytes") for source in sources]
    frame = reduce(lambda one, other: one.concat(other), map(app.dataframe, topics))
    frame.update(fold, stateful=True)
    app.run(count=int(events))
    tally.tell()
    out.flush()
    print(tally.result())


if __name__ == "__main__":
    main(*sys.argv[1:])
