"""The fold on Bytewax: the recipient's document in memory, without snapshots; one worker, until the ends of the topics.

Arguments: bootstrap servers, name, directory (not used), events, output topic, source topics.
"""

from __future__ import annotations

import sys
from typing import Any

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main
from confluent_kafka import OFFSET_BEGINNING, Producer

from tests.bench.peers.recipient import Document, Tally, apply, decode


def main(*arguments: str) -> None:
    """Fold to the end; print how long it took."""
    servers, name, _directory, events, output, *sources = arguments
    out = Producer({"bootstrap.servers": servers, "compression.type": "lz4"})
    tally = Tally(int(events), lambda key, value: out.produce(output, key=key, value=value))

    def keyed(message: KafkaSourceMessage) -> tuple[str, bytes]:
        tally.begin()
        return message.key.decode(), message.value

    def fold(document: Document | None, value: bytes) -> tuple[Document, Any]:
        document = document or {"m": {}, "t": {}}
        change = apply(document, decode(value))
        tally.done(change)
        return document, None

    flow = Dataflow(name)
    source: KafkaSource = KafkaSource(
        [servers], list(sources), tail=False, starting_offset=OFFSET_BEGINNING, batch_size=1_000
    )
    records = op.map("keyed", op.input("log", flow, source), keyed)
    folded = op.stateful_map("fold", records, fold)
    op.output("nothing", op.filter("none", folded, lambda _pair: False), StdOutSink())
    cluster_main(flow, [], 0)
    tally.tell()
    out.flush()
    print(tally.result())


if __name__ == "__main__":
    main(*sys.argv[1:])
