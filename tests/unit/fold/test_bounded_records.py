"""No record outgrows the broker's limit, whatever names requests and provider choose (DESIGN §5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sendledger.domain.merging import Merging, decode_partial
from sendledger.domain.message import NOTHING_READ
from sendledger.domain.partial import MOST_NAMES, bounded
from sendledger.edges.fold_core import Origin
from sendledger.edges.kafka import MAX_RECORD_BYTES
from tests.support.partials import record

IDS = {"t": "id-1"}

counters_of = st.dictionaries(
    st.builds(
        lambda kind, name: f"o:{name}:queued" if kind == "o" else f"{kind}:{name}",
        st.sampled_from(["o", "e", "t", "b"]),
        st.integers(0, 3 * MOST_NAMES).map(str),
    ),
    st.integers(1, 9),
    max_size=4 * MOST_NAMES,
)


def _kinds(counters: dict[str, int]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, count in counters.items():
        kind = name.partition(":")[0]
        sums[kind] = sums.get(kind, 0) + count
    return sums


@given(counters_of)
def test_names_are_lost_and_counts_are_not(counters: dict[str, int]) -> None:
    """Each kind of counter keeps its sum, what is no open vocabulary keeps its names, and twice is as once."""
    short = dict(bounded(counters))
    assert _kinds(short) == _kinds(counters)
    assert {name: n for name, n in short.items() if name.startswith("b:")} == {
        name: n for name, n in counters.items() if name.startswith("b:")
    }
    assert bounded(short) == short


@given(counters_of, st.randoms(use_true_random=False))
def test_the_order_of_counters_decides_nothing(counters: dict[str, int], random: object) -> None:
    """The same numbers are the same record, in whatever order they were counted."""
    names = list(counters)
    random.shuffle(names)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert bounded({name: counters[name] for name in names}) == bounded(counters)


def test_the_carriers_that_count_most_keep_their_names() -> None:
    """A real carrier stays visible among thousands of single ones, in all of its buckets."""
    counters = {f"o:{row}:queued": 1 for row in range(10_000)} | {"o:77:delivered": 900, "o:77:sent": 1}
    short = bounded(counters)
    assert short["o:77:delivered"] == 900
    assert short["o:77:sent"] == 1
    assert short["o:other:queued"] == 10_000 - MOST_NAMES


def test_a_file_with_another_carrier_in_each_row_stays_publishable() -> None:
    """Partials and the merged state of such a campaign stay far below the largest record."""
    merging = Merging(IDS)
    for partition in range(8):
        counters = {f"o:{partition}-{row:060}:queued": 1 for row in range(20_000)}
        raw = record("c", Origin(partition, 0, NOTHING_READ, IDS), None, counters | {"requested": 20_000}, NOTHING_READ)
        assert len(raw) < MAX_RECORD_BYTES // 20
        merging.offer(decode_partial(raw))
    merged = merging.merged("c")
    assert merged.counters["requested"] == 160_000
    assert sum(len(name) + 12 for name in merged.counters) < MAX_RECORD_BYTES // 20
    assert sum(count for name, count in merged.counters.items() if name.startswith("o:")) == 160_000
