"""What happens to one submission: a pure function of seed, profile, TO, text, CAMPAIGNREF and how often it came before.

Nothing here knows the time or the network, so a run with one seed gives every message the same fate, whatever the
timing. The table of STATUS numbers is the simulator's own on purpose: it is the truth that the reader is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from sendledger.simulator.draws import Draws
from sendledger.simulator.profile import Form, Misbehaviour, Profile

Claim = Literal["sent", "delivered", "undelivered", "submit_failed", "trying"]
Why = Literal["notice", "repeat", "stray", "foreign", "garbled"]

FLAT_FAILURES = {65: "not_supported", 66: "rejected", 70: "expired"}
"""STATUS numbers of GSM 03.40 that the flat forms have a text for; any other failure is `failed` there."""

_NEVER = frozenset(
    {Misbehaviour.HANG_BEFORE, Misbehaviour.RESET_BEFORE, Misbehaviour.HTTP_429, Misbehaviour.UNKNOWN_CODE}
)
_PERHAPS = frozenset(
    {
        Misbehaviour.HTTP_500,
        Misbehaviour.HTTP_502,
        Misbehaviour.HTTP_503,
        Misbehaviour.HTTP_301,
        Misbehaviour.HTML,
        Misbehaviour.BROKEN,
        Misbehaviour.EMPTY,
    }
)
_FORMS: tuple[Form, ...] = ("page", "1.3", "v2")
_CARRIERS = ("4", "12", "77")
_SILENT_CARRIER = "90"
_CONFLICTING = {True: 0, False: 70}
_STEP = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPostback:
    """One postback to come. Times in provider's seconds after the message was taken.

    `happens` is what CREATED will say, `due` when it is first posted, and `early` means before the answer to the call.
    `status` is the number of the page's receipt. `about` is the place, among the message's notices, of the one whose
    body this is (or garbles).
    """

    claim: Claim | None
    about: int
    happens: float
    due: float
    early: bool = False
    status: int | None = None
    detail: str | None = None
    why: Why = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One submission's fate. `code`: the ERRORCODE of a Failure. `taken`: the provider has the message and sends it."""

    latency: float
    code: str | None = None
    misbehaviour: Misbehaviour | None = None
    taken: bool = True
    form: Form = "page"
    operator_id: str = field(default=_CARRIERS[0])
    postbacks: tuple[PlannedPostback, ...] = ()


def plan(profile: Profile, seed: int, *, to: str, text: str, campaign_ref: str | None, n: int) -> Plan:
    """The fate of the n-th (1, 2, …) submission of this TO, text and CAMPAIGNREF. `latency` is in real seconds."""
    draws = Draws(seed, to, campaign_ref or "", text, n)
    low, high = profile.latency_ms
    latency = draws.between("latency", low, high) / 1000
    fate = draws.one_of("fate", {**{kind.value: share for kind, share in profile.misbehave.items()}, **profile.errors})
    misbehaviour = Misbehaviour(fate) if fate in profile.misbehave else None
    if fate is not None and misbehaviour is None:
        return Plan(latency=latency, code=fate, taken=False)
    if not _is_taken(misbehaviour, draws):
        return Plan(latency=latency, misbehaviour=misbehaviour, taken=False)
    form = profile.form if profile.form != "mixed" else _FORMS[int(draws.unit("form") * len(_FORMS))]
    person = Draws(seed, to)
    silent = person.happens("no receipt", profile.no_receipt)
    return Plan(
        latency=latency,
        misbehaviour=misbehaviour,
        form=form,
        operator_id=_SILENT_CARRIER if silent else _CARRIERS[int(person.unit("carrier") * len(_CARRIERS))],
        postbacks=tuple(_postbacks(profile, draws, form, silent=silent)),
    )


def claim_of(status: int) -> Claim:
    """What a STATUS number says by GSM 03.40: up to 0x1F done, up to 0x3F still trying, above it failed."""
    return "delivered" if status < 0x20 else "trying" if status < 0x40 else "undelivered"  # noqa: PLR2004  # GSM 03.40


def _is_taken(misbehaviour: Misbehaviour | None, draws: Draws) -> bool:
    if misbehaviour in _PERHAPS:
        return draws.unit("taken") < 0.5  # noqa: PLR2004  # even chances
    return misbehaviour not in _NEVER


def _postbacks(profile: Profile, draws: Draws, form: Form, *, silent: bool) -> Iterator[PlannedPostback]:
    if draws.happens("never notified", profile.never_notified):
        return
    notices = _arranged(profile, draws, list(_notices(profile, draws, form, silent=silent)))
    yield from notices
    for notice in notices:
        if draws.happens(f"repeat {notice.about}", profile.repeat):
            again = notice.due + draws.between(f"again {notice.about}", *profile.receipt_after)
            yield replace(notice, due=again, early=False, why="repeat")
    yield from _noise(profile, draws, notices[0])


def _notices(profile: Profile, draws: Draws, form: Form, *, silent: bool) -> Iterator[PlannedPostback]:
    sent = draws.between("sent after", *profile.sent_after)
    if draws.happens("submit failed", profile.submit_failed):
        yield PlannedPostback(claim="submit_failed", detail="submit_failed", about=0, happens=sent, due=sent)
        return
    yield PlannedPostback(claim="sent", about=0, happens=sent, due=sent)
    if silent:
        return
    for place, status in enumerate(_statuses(profile, draws, form), start=1):
        delay = draws.between(f"receipt after {place}", *profile.receipt_after) + _STEP
        sent += delay
        yield _receipt(status, form, place, sent)


def _statuses(profile: Profile, draws: Draws, form: Form) -> Iterator[int]:
    first = draws.one_of("receipt", profile.receipts) or 0
    if claim_of(first) == "trying":
        # The flat forms have no text for it, and what is still trying comes to an end.
        yield from (first, 0) if form == "page" else (0,)
        return
    yield first
    if draws.happens("conflict", profile.conflict):
        yield _CONFLICTING[claim_of(first) == "undelivered"]


def _receipt(status: int, form: Form, place: int, when: float) -> PlannedPostback:
    claim = claim_of(status)
    detail = f"tp_0x{status:02x}" if form == "page" else None
    if form != "page" and claim == "undelivered":
        detail = FLAT_FAILURES.get(status, "failed")
    return PlannedPostback(claim=claim, status=status, detail=detail, about=place, happens=when, due=when)


def _arranged(profile: Profile, draws: Draws, notices: list[PlannedPostback]) -> list[PlannedPostback]:
    """The notices in the order in which they are posted: shuffled, the last one late, the first one early."""
    if draws.happens("shuffle", profile.shuffle):
        dues = [notice.due for notice in notices]
        notices = [replace(notice, due=due) for notice, due in zip(reversed(notices), dues, strict=True)]
    if draws.happens("late", profile.late):
        late = draws.between("late after", *profile.late_after)
        notices[-1] = replace(notices[-1], due=notices[-1].due + late)
    if draws.happens("early", profile.early):
        notices[0] = replace(notices[0], due=0.0, early=True)
    return notices


def _noise(profile: Profile, draws: Draws, first: PlannedPostback) -> Iterator[PlannedPostback]:
    """What disturbs: a TRACKINGID that nobody was given, another origin, half of a document."""
    kinds: tuple[tuple[Why, float], ...] = (
        ("stray", profile.stray),
        ("foreign", profile.foreign),
        ("garbled", profile.garbled),
    )
    for why, share in kinds:
        if draws.happens(why, share):
            claim: Claim | None = "sent" if why == "stray" else None
            yield replace(first, claim=claim, status=None, detail=None, early=False, why=why)
