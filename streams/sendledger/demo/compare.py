"""Our numbers beside the provider's, number by number. Ours come from the HTTP API, the others from the ledger file.

Both sides are the same flat mapping: `requested` and each bucket, `error E110`, `detail expired`, `conflicted`, … .
A number that is 0 on both sides is left out of neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sendledger.simulator.ledger_reader import Summary, Truth
from sendledger_schemas.states import BUCKETS

Numbers = dict[str, int]


@dataclass(frozen=True)
class Compared:
    """One campaign's two columns."""

    campaign_id: str
    ours: Numbers
    ledger: Numbers

    @property
    def differing(self) -> list[str]:
        """The names of the numbers that are not equal."""
        names = dict.fromkeys((*self.ours, *self.ledger))
        return [name for name in names if self.ours.get(name, 0) != self.ledger.get(name, 0)]

    @property
    def agrees(self) -> bool:
        """Whether every number is the same."""
        return not self.differing


def compare(campaign_id: str, here: Numbers, truth: Truth, campaign_ref: str, in_doubt: Collection[str]) -> Compared:
    """The two columns of one campaign.

    A receiver that is killed between a postback's durable write and its 200 gets it again: then the provider cannot
    know how often it arrived, only between what and what. Duplicates within these bounds are left out on both sides.
    """
    ledger = theirs(truth, campaign_ref, in_doubt=in_doubt)
    perhaps = sum(tries.count(None) for tries in _tries(truth, campaign_ref))
    if perhaps and 0 <= here["duplicates"] - ledger["duplicates"] <= perhaps:
        here = {name: number for name, number in here.items() if name != "duplicates"}
        del ledger["duplicates"]
    return Compared(campaign_id, here, ledger)


def _tries(truth: Truth, campaign_ref: str) -> Iterator[list[int | None]]:
    for message in truth.messages:
        if message.campaign_ref == campaign_ref:
            yield from (post.tries for post in message.postbacks)


def ours(campaign: Mapping[str, Any]) -> Numbers:
    """The numbers of `GET /v1/campaigns/{id}` that the provider knows, too."""
    counts, quality = campaign["counts"], campaign["quality"]
    numbers: Numbers = {name: counts[name] for name in ("requested", *BUCKETS)}
    numbers |= {f"error {code}": n for code, n in sorted(campaign["error_codes"].items())}
    numbers |= {f"detail {detail}": n for detail, n in sorted(campaign["details"].items())}
    numbers |= {name: quality[name] for name in ("conflicted", "orphans", "duplicates")}
    return numbers | {"sent twice": 0}


def theirs(truth: Truth, campaign_ref: str, *, in_doubt: Collection[str] = ()) -> Numbers:
    """The same numbers from the ledger.

    `in_doubt`: the numbers (TO) of the messages that the program shows in doubt. The ledger takes its word only where
    it knows of no confirmed notice, which would have settled the doubt, and counts a message that never came there
    as in doubt only if the program says so, too.
    """
    summary = truth.summary(campaign_ref, in_doubt=in_doubt)
    never_came = sum(not truth.of(number, campaign_ref) for number in in_doubt)
    buckets: Numbers = dict.fromkeys(map(str, BUCKETS), 0)
    buckets.update({str(bucket): number for bucket, number in summary.buckets.items()})
    buckets["in_doubt"] += never_came
    rejected = _rejected(truth, campaign_ref, in_doubt)
    numbers = {"requested": sum(buckets.values()), **buckets}
    numbers |= {f"error {code}": n for code, n in sorted(rejected.items())}
    numbers |= {f"detail {detail}": n for detail, n in sorted(summary.details.items())}
    return numbers | _quality(summary, _orphans(truth, campaign_ref))


def _quality(summary: Summary, orphans: int) -> Numbers:
    return {
        "conflicted": summary.conflicted,
        "orphans": orphans,
        "duplicates": summary.repeats,
        "sent twice": summary.double,
    }


def _orphans(truth: Truth, campaign_ref: str) -> int:
    """Confirmed postbacks under a TRACKINGID that nobody was given, to the campaign's recipients.

    They carry no campaign, so each campaign that has a message for the recipient counts them (DESIGN §4).
    """
    recipients = {message.to for message in truth.messages if message.campaign_ref == campaign_ref}
    strays = (post for message in truth.messages if message.to in recipients for post in message.postbacks)
    return sum(post.acknowledged and post.entry.why == "stray" for post in strays)


def _rejected(truth: Truth, campaign_ref: str, in_doubt: Collection[str]) -> Numbers:
    """Refusals by code, of the messages whose refusal was read."""
    codes: Numbers = {}
    for message in truth.messages:
        if message.campaign_ref == campaign_ref and message.bucket == "rejected" and message.to not in in_doubt:
            code = message.rejected_code or ""
            codes[code] = codes.get(code, 0) + 1
    return codes


def document(campaigns: Collection[Compared]) -> dict[str, Any]:
    """What `--json` writes."""
    return {
        "agrees": all(campaign.agrees for campaign in campaigns),
        "campaigns": {c.campaign_id: {"ours": c.ours, "ledger": c.ledger} for c in campaigns},
    }
