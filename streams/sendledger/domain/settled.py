"""What a message's facts mean together: its bucket, and which final claim counts (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never

import msgspec

from sendledger.domain.message import Message
from sendledger.domain.outline import Outline, outline
from sendledger.domain.postbacks import Notice, earliest, finals, first_claim, means
from sendledger_schemas.states import Bucket

Policy = Literal["first-final", "last-final", "delivered-wins", "failure-wins"]


class Facts(msgspec.Struct, frozen=True, gc=False):
    """A message with the postbacks that are its own: those of its TRACKINGIDs, and of one that it adopted.

    `final`: its final claims by provider time; `sent`: the first *sent* claim by provider time; `operator_id`: the
    carrier as the first postback names it that names one, or else as the request did.
    """

    message: Message
    outline: Outline
    notices: tuple[Notice, ...]
    final: tuple[Notice, ...]
    repeats: int
    tracking_id: str | None
    sent: Notice | None
    operator_id: str | None


def known(
    message: Message, notices: tuple[Notice, ...] = (), repeats: int = 0, tracking_id: str | None = None
) -> Facts:
    """Put a message and its postbacks together."""
    operator_id = None if message.request is None else message.request.operator_id
    if not notices:
        return Facts(message, outline(message), (), (), repeats, tracking_id, None, operator_id)
    named = earliest([notice for notice in notices if notice.operator_id])
    if named is not None:
        operator_id = named.operator_id
    sent = first_claim(notices, "sent")
    return Facts(message, outline(message), notices, finals(notices), repeats, tracking_id, sent, operator_id)


def counting(final: Sequence[Notice], policy: Policy = "first-final") -> Notice | None:
    """Which of several final claims counts; `final` by provider time, as `finals` orders it."""
    if not final:
        return None
    match policy:
        case "first-final":
            return final[0]
        case "last-final":
            return final[-1]
        case "delivered-wins" | "failure-wins":
            wanted = "delivered" if policy == "delivered-wins" else "undelivered"
            return next((notice for notice in final if means(notice) == wanted), final[0])
        case _:
            assert_never(policy)


def bucket(facts: Facts, policy: Policy = "first-final") -> Bucket:
    """The first line of DESIGN §4's table that holds. Each message with a request is in exactly one bucket."""
    if facts.notices:
        final = counting(facts.final, policy)
        return "sent" if final is None else means(final)
    ends = facts.outline.ends
    if "accepted" in ends:
        return "accepted"
    if "rejected" in ends:
        return "rejected"
    if "resolved" in ends:
        return "accepted" if facts.outline.said_sent else "cancelled"
    if "in_doubt" in ends:
        return "in_doubt"
    if "open" in ends:
        return "attempting"
    withheld = facts.message.withheld
    return "queued" if withheld is None else withheld.reason
