"""What the sender does with the ends of calls, on a real Kafka: throttled, refused, stopped by codes, in doubt."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from sendledger.config import Settings
from sendledger_schemas.decisions import DoubtResolved
from sendledger_schemas.postbacks import PostbackReceived
from sendledger_schemas.topics import DECISIONS, POSTBACKS
from tests.support.kafka import eventually
from tests.support.sender import (
    Form,
    Line,
    accept,
    answered,
    desk,
    ends,
    numbers,
    post,
    refuse,
    request,
    sender,
    sending,
    write,
)


async def test_throttled_messages_go_again_and_rejected_do_not(shared_kafka: Settings) -> None:
    """E120 is provably not sent: the next attempt is accepted. E110 is final."""

    def answer(number: int, form: Form) -> object:
        if form.to in numbers(0, 1) and form.to not in seen:
            seen.add(form.to)
            return refuse("E120")(number, form)
        return (
            refuse("E110", f"bad number {form.to}")(number, form) if form.to == numbers(2)[0] else accept(number, form)
        )

    seen: set[str] = set()
    async with desk(answer) as provider:  # type: ignore[arg-type]  # every branch is a response
        settings = sending(shared_kafka, provider.url)
        await post(settings, [request(row) for row in range(4)])
        async with sender(settings):
            lines = await answered(settings, 6)
        kinds = Counter((line.kind, line.data.attempt) for line in lines)
        assert kinds == {
            ("send-throttled", 1): 2,
            ("send-accepted", 2): 2,
            ("send-rejected", 1): 1,
            ("send-accepted", 1): 1,
        }
        (rejected,) = [line.data for line in lines if line.kind == "send-rejected"]
        assert numbers(2)[0] not in rejected.model_dump_json()


async def test_a_provider_out_of_reach_costs_no_message(shared_kafka: Settings) -> None:
    """Refused connections are SendNotSent, and few of them: most messages are not even tried in the first seconds."""
    async with desk() as provider:
        gone = provider.url
    settings = sending(shared_kafka, gone, sender_concurrency=8)
    await post(settings, [request(row) for row in range(300)])
    async with sender(settings):
        lines = await answered(settings, 3)
        assert {(line.kind, line.data.reason) for line in lines} == {("send-not-sent", "refused")}

        async def for_a_while() -> list[Line]:
            found = [line for line in await ends(settings) if line.data.reason == "refused"]
            times = [line.event.time for line in found]
            return found if max(times) - min(times) > timedelta(seconds=1.5) else []

        tried = await eventually(for_a_while, what="the fourth time that it is tried")
        assert len(tried) < 150


async def test_an_operator_settles_a_doubt(shared_kafka: Settings) -> None:
    """`resend` sends once more; `sent` and `withhold` send nothing; nothing happens without a decision."""

    def answer(number: int, form: Form) -> object:
        if form.to in seen:
            return accept(number, form)
        seen.add(form.to)
        return refuse("E999")(number, Form("15550009999", "", ""))  # another TO: no usable answer

    seen: set[str] = set()
    rows = [request(row) for row in range(4)]
    async with desk(answer) as provider:  # type: ignore[arg-type]  # as above
        settings = sending(shared_kafka, provider.url)
        await post(settings, rows)
        async with sender(settings):
            lines = await answered(settings, 4)
            assert {(line.kind, line.data.reason) for line in lines} == {("send-unanswered", "unreadable")}
            words = ("sent", "withhold", "resend")
            decisions = [
                DoubtResolved(
                    message_id=row.message_id,
                    campaign_id=row.campaign_id,
                    recipient_id=row.recipient_id,
                    attempt=1,
                    resolution=word,  # type: ignore[arg-type]  # of the three
                    by="op",
                )
                for row, word in zip(rows, words, strict=False)
            ]
            await write(settings, DECISIONS, *decisions)
            lines = await answered(settings, 5)
            await post(settings, [request(9)])
            await answered(settings, 6)
        again = [line.data for line in lines if line.data.attempt == 2]
        assert [data.message_id for data in again] == [rows[2].message_id]
        assert Counter(provider.calls) == Counter(numbers(0, 1, 2, 2, 3, 9))


async def test_a_resend_is_void_once_a_postback_has_settled_the_doubt(shared_kafka: Settings) -> None:
    """The provider has the message: the operator's word, given in ignorance, sends nothing. All others go once more."""

    def doubtful(number: int, form: Form) -> object:
        return refuse("E999")(number, Form("15550009999", "", ""))

    rows = [request(row) for row in range(12)]
    async with desk(doubtful) as provider:  # type: ignore[arg-type]  # as above
        settings = sending(shared_kafka, provider.url)
        await post(settings, rows)
        async with sender(settings):
            await answered(settings, 12)
            provider.answer = accept
            known = PostbackReceived(
                recipient_id=rows[0].recipient_id,
                origin="SMS_MT",
                code="N201",
                claim="delivered",
                tracking_id="SMS_unknown",
                received_at=datetime.now(UTC),
                raw="",
            )
            await write(settings, POSTBACKS, known)
            decisions = [
                DoubtResolved(
                    message_id=row.message_id,
                    campaign_id=row.campaign_id,
                    recipient_id=row.recipient_id,
                    attempt=1,
                    resolution="resend",
                    by="op",
                )
                for row in rows
            ]
            await write(settings, DECISIONS, *decisions)
            await answered(settings, 23)
            await post(settings, [request(12)])
            await answered(settings, 24)
    assert Counter(provider.calls) == Counter(numbers(*range(13), *range(1, 12)))
