"""The provider's front desk: checks a call, plans its fate, numbers it. No I/O and no clock of its own."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace

from sendledger.simulator.behaviour import Plan, plan
from sendledger.simulator.entries import Outcome, Submission
from sendledger.simulator.notices import Delivery, Taken, deliveries
from sendledger.simulator.profile import THROTTLE_CODES, Misbehaviour, Profile
from sendledger.simulator.throttle import Bucket
from sendledger.wire.codes import ERROR_CODES
from sendledger.wire.provider_side import RequestFault, encode_failure, encode_success
from sendledger.wire.sendsms import SendSms

UNKNOWN_CODE = "E999"

_E164 = range(7, 16)
_SENDER_MAX = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the account may do. None and empty mean: anything. `credit`: how many messages it can still pay for.

    `scale`: real seconds to one of the provider's.
    """

    seed: int = 1
    scale: float = 1
    api_key: str | None = field(default=None, repr=False)
    senders: frozenset[str] = frozenset()
    unsupported_prefixes: tuple[str, ...] = ()
    credit: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came; `request` as the wire read it."""

    request: SendSms | RequestFault = field(repr=False)
    method: str
    path: str
    mono: float
    wall: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a call: its line for the ledger, the well-behaved body of the answer, the postbacks to come."""

    submission: Submission
    plan: Plan
    body: bytes = field(repr=False)
    deliveries: tuple[Delivery, ...] = ()


class Desk:
    """Decides on calls, one after the other."""

    def __init__(self, rules: Rules, profile: Profile, mono: float) -> None:
        self._rules = rules
        self.profile = profile
        self._bucket = Bucket(profile.rate, profile.burst, mono)
        self._seen: Counter[bytes] = Counter()
        self._calls = 0
        self._messages = 0
        self._postbacks = 0

    def switch(self, profile: Profile, mono: float) -> None:
        """Another profile from the next call on; a rate that stays the same keeps its bucket."""
        if (profile.rate, profile.burst) != (self.profile.rate, self.profile.burst):
            self._bucket = Bucket(profile.rate, profile.burst, mono)
        self.profile = profile

    def decide(self, call: Call) -> Decision:
        """The decision on one call; counts it."""
        self._calls += 1
        request = call.request
        if isinstance(request, RequestFault):
            return self._failed(call, request.error_code)
        refusal = self._refusal(request)
        if refusal is not None:
            return self._failed(call, refusal)
        if not self._bucket.take(call.mono):
            return self._failed(call, self.profile.throttle_code)
        n = self._count(request)
        fate = plan(
            self.profile, self._rules.seed, to=request.to, text=request.text, campaign_ref=request.campaign_ref, n=n
        )
        if fate.code is not None:
            return self._failed(call, fate.code, n=n, fate=fate)
        if fate.misbehaviour is Misbehaviour.UNKNOWN_CODE:
            return self._failed(call, UNKNOWN_CODE, n=n, fate=fate)
        return self._accepted(call, request, n, fate) if fate.taken else self._dropped(call, n, fate)

    def _refusal(self, request: SendSms) -> str | None:
        rules = self._rules
        allowed = not rules.senders or request.sender in rules.senders
        checks = (
            (rules.api_key is None or request.api_key == rules.api_key, "E104"),
            (len(request.to) in _E164 and not request.to.startswith("0"), "E110"),
            (allowed and len(request.sender) <= _SENDER_MAX and request.sender.isalnum(), "E111"),
            (not request.to.startswith(rules.unsupported_prefixes or ("?",)), "E628"),
            (rules.credit is None or self._messages < rules.credit, "E713"),
        )
        return next((code for holds, code in checks if not holds), None)

    def _count(self, request: SendSms) -> int:
        subject = "\0".join((request.to, request.campaign_ref or "", request.text))
        key = hashlib.blake2b(subject.encode(), digest_size=12).digest()
        self._seen[key] += 1
        return self._seen[key]

    def _accepted(self, call: Call, request: SendSms, n: int, fate: Plan) -> Decision:
        self._messages += 1
        tracking_id, history_id = f"SMS_{self._messages}", str(self._messages)
        if request.operator_id:
            fate = replace(fate, operator_id=request.operator_id)
        taken = Taken(
            request=request,
            tracking_id=tracking_id,
            history_id=history_id,
            first_id=self._postbacks + 1,
            mono=call.mono,
            wall=call.wall,
            scale=self._rules.scale,
        )
        self._postbacks += len(fate.postbacks)
        line = self._line(call, "accepted", fate.misbehaviour or "success", n=n, ids=(tracking_id, history_id))
        return Decision(line, fate, encode_success(tracking_id, request.to), tuple(deliveries(fate, taken)))

    def _dropped(self, call: Call, n: int, fate: Plan) -> Decision:
        throttled = fate.misbehaviour is Misbehaviour.HTTP_429
        outcome: Outcome = "throttled" if throttled else "dropped"
        line = self._line(call, outcome, fate.misbehaviour or "failure", n=n, code="429" if throttled else None)
        return Decision(line, fate, b"")

    def _failed(self, call: Call, code: str, *, n: int = 0, fate: Plan | None = None) -> Decision:
        if fate is None:  # a refused call takes the usual time, too
            fate = Plan(latency=self.profile.latency_ms[0] / 1000, code=code, taken=False)
        outcome: Outcome = "throttled" if code in THROTTLE_CODES else "rejected"
        meaning = ERROR_CODES[code].meaning if code in ERROR_CODES else "something new"
        line = self._line(call, outcome, fate.misbehaviour or "failure", n=n, code=code)
        return Decision(line, fate, encode_failure(code, meaning, call.request.to))

    def _line(
        self,
        call: Call,
        outcome: Outcome,
        answer: str,
        *,
        n: int,
        code: str | None = None,
        ids: tuple[str, str] | tuple[None, None] = (None, None),
    ) -> Submission:
        request = call.request if isinstance(call.request, SendSms) else None
        return Submission(
            mono=call.mono,
            wall=call.wall,
            seq=self._calls,
            n=n,
            to=call.request.to,
            sender=request.sender if request else None,
            campaign_ref=request.campaign_ref if request else None,
            operator_id=request.operator_id if request else None,
            text_sha256=hashlib.sha256(request.text.encode()).hexdigest() if request else None,
            method=call.method,
            path=call.path,
            outcome=outcome,
            answer=str(answer),
            code=code,
            tracking_id=ids[0],
            history_id=ids[1],
        )
