"""What is in doubt, as `status` lists it from the published states on a real Kafka."""

from __future__ import annotations

from datetime import timedelta

from sendledger.config import Settings
from sendledger.edges.doubts import doubts
from sendledger.edges.kafka import producer
from sendledger_schemas.ids import partition_of
from sendledger_schemas.states import MessageState
from sendledger_schemas.topics import CAMPAIGN_STATE, DECISIONS, MESSAGE_STATE
from tests.support.instance import cli
from tests.support.sender import journal
from tests.support.states import NOW, campaign_state, message_state


def doubtful(number: int, campaign: str = "spring", **over: object) -> MessageState:
    """A message that is in doubt since that minute."""
    since = NOW + timedelta(minutes=number)
    given = {"bucket": "in_doubt", "final": False, "doubt_reason": "reset", "doubt_since": since, "version": 5, **over}
    return message_state(f"{number:026}", campaign, **given)


async def test_status_lists_what_is_in_doubt_and_nothing_that_was(shared_kafka: Settings) -> None:
    """The newest first; what was settled since, what a late record says, and other campaigns' doubts are not there."""
    settled = [doubtful(50), message_state(f"{50:026}", version=6)]
    late = [message_state(f"{51:026}", version=6), doubtful(51)]  # of a worker that was paused: it comes last
    others = [doubtful(60, "winter"), doubtful(61, "spring-two")]
    states = [doubtful(number) for number in range(12)] + settled + late + others
    numbers = campaign_state("spring", 14, counters={"requested": 14, "b:in_doubt": 12, "b:delivered": 2})
    async with producer(shared_kafka.kafka) as out:
        for state in states:
            await out.send_and_wait(
                MESSAGE_STATE, state.model_dump_json().encode(), key=state.message_id.encode(), partition=3
            )
        await out.send_and_wait(CAMPAIGN_STATE, numbers.model_dump_json().encode(), key=b"spring")
    told: list[tuple[int, int]] = []
    found = await doubts(
        shared_kafka.kafka,
        "spring",
        partitions=shared_kafka.partitions,
        progress=lambda read, of: told.append((read, of)),
    )
    of = 2 * len(states)  # the topic is read twice
    assert told[0] == (0, of)
    assert told[-1] == (of, of)
    assert told == sorted(told)
    assert [state.message_id for state in found] == [f"{number:026}" for number in reversed(range(12))]
    said = (await cli(shared_kafka, "status", "spring")).out
    listed = [line.split()[0] for line in said.splitlines() if line.lstrip().startswith("0000")]
    assert listed == [f"{number:026}" for number in range(11, 1, -1)]
    for part in ("12 in doubt", "***888", "reset", "2026-11-22T12:11:00", "and 2 more", "sendledger resolve MESSAGE"):
        assert part in said


async def test_the_command_line_settles_doubts(shared_kafka: Settings) -> None:
    """`resolve` writes who decided what about which attempt and why, in the recipient's partition, without a number."""
    said = {"sent": "", "withhold": "15551234888 says so", "resend": "nothing came"}
    async with producer(shared_kafka.kafka) as out:
        for number, resolution in enumerate(said):
            state = doubtful(number, recipient_id=resolution, attempts=number + 1)
            await out.send_and_wait(MESSAGE_STATE, state.model_dump_json().encode(), key=state.message_id.encode())
    for number, (resolution, note) in enumerate(said.items()):
        told = (await cli(shared_kafka, "resolve", f"{number:026}", "--as", resolution, "--note", note)).out
        assert told == f"{number:026}: {resolution}\n"
    lines = {line.data.resolution: line for line in await journal(shared_kafka, DECISIONS)}
    assert {line.data.recipient_id: line.data.resolution for line in lines.values()} == {word: word for word in said}
    for number, word in enumerate(said):
        data = lines[word].data
        assert (data.message_id, data.campaign_id, data.attempt) == (f"{number:026}", "spring", number + 1)
        assert lines[word].partition == partition_of(word, shared_kafka.partitions)
        assert data.by == lines["sent"].data.by != ""
    notes = [lines[word].data.note for word in said]
    assert notes == ["", "*** says so", "nothing came"]
