"""The events of one message as bytes, by template: several times as fast as the pydantic models, and the same bytes.

A unit test decodes a sample with the models and encodes it again. Times are microseconds since `START`.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

from sendledger_schemas import ids

START = datetime(2026, 3, 1, 12)  # noqa: DTZ001 — UTC; without it, because isoformat is then what the template needs
PEPPER = b"bench-pepper-bench-pepper"
TEXTS = (
    "Your parcel will be with you between 2 and 4 pm today",
    "20 % off all coats until Sunday, in our shops and online. Show this message at the till. Stop: STOP to 60856",
    "Your code is 4711. Tell it to nobody, not even to us.",
    "Reminder: your appointment is tomorrow at 9:30. Reply C to cancel",
)

_HEAD = '{"specversion":"1.0","id":"%s","type":"sendledger.%s.v1","source":"%s",'
_OF_MESSAGE = (
    _HEAD + '"subject":"%s","time":"%s","datacontenttype":"application/json",'
    '"data":{"message_id":"%s","campaign_id":"%s","recipient_id":"%s",%s}}'
)
_POSTBACK = (
    _HEAD + '"time":"%s","datacontenttype":"application/json","data":{"recipient_id":"%s","origin":"SMS_MT",'
    '"code":"%s","claim":"%s",%s"tracking_id":"%s","history_id":"%s","notification_id":"%s","operator_id":"%s",'
    '"provider_time":"%s","provider_timestamp":"%s","received_at":"%s","raw":"%s"}}'
)
_RAW = (
    '<NOTIFICATION ID="%s" CREATED="%s-04">\n\t<ORIGIN>SMS_MT</ORIGIN>\n\t<CODE>%s</CODE>\n\t<BODY>\n'
    "\t<HISTORYID>%s</HISTORYID>\n\t<TO>%s</TO>\n\t<TRACKINGID>%s</TRACKINGID>\n\t<SPID>%s</SPID>%s\n"
    "\t<TIMESTAMP>%s-04</TIMESTAMP>\n\t</BODY>\n</NOTIFICATION>\n"
)
_SAYS = {
    "sent": ("N201", "", ""),
    "delivered": ("N201", "tp_0x00", '\n\t<STATUS PROTOCOL="4" STATUS="0"/>'),
    "undelivered": ("N201", "tp_0x46", '\n\t<STATUS PROTOCOL="4" STATUS="70"/>'),
    "submit_failed": ("E201", "submit_failed", ""),
}
"""Claim → code, detail, and what more the provider's document has."""


def _iso(at: int) -> str:
    return (START + timedelta(microseconds=at)).isoformat(timespec="microseconds") + "Z"


def _local(at: int) -> str:
    """As the provider writes it: four hours behind UTC."""
    return str(START + timedelta(hours=-4, microseconds=at))


def instant(at: int) -> datetime:
    """A time of the events as an aware datetime."""
    return START.replace(tzinfo=UTC) + timedelta(microseconds=at)


class Sms:
    """One message: its names, and the bytes of its events. `offset` is where its request stands in its partition."""

    __slots__ = ("campaign", "key", "message", "number", "offset", "operator", "partition", "recipient", "to")

    def __init__(self, number: int, to: int, campaign: str, partitions: int) -> None:
        self.number, self.campaign = number, campaign
        self.to = f"1555{to:07d}"
        self.recipient = ids.recipient_id(PEPPER, self.to)
        self.message = ids.message_id(campaign, "bench", number)
        self.key = self.recipient.encode()
        self.partition = ids.partition_of(self.recipient, partitions)
        self.operator = str(380 + to % 4)
        self.offset = 0

    def _event(self, kind: str, source: str, at: int, data: str, *, attempt: int = 0) -> bytes:
        name = f"{self.message}/{kind}/{attempt}"
        event_id = base64.b32encode(hashlib.sha256(name.encode()).digest()[:16]).decode()[:26].lower()
        mine = self.message, self.campaign, self.recipient
        return (_OF_MESSAGE % (event_id, kind, source, self.message, _iso(at), *mine, data)).encode()

    def requested(self, at: int) -> bytes:
        """It was asked for."""
        text = TEXTS[len(self.campaign) % len(TEXTS)]
        return self._event("send-requested", "api", at, f'"to":"{self.to}","sender":"60856","text":"{text}"')

    def withheld(self, at: int) -> bytes:
        """It will not be sent."""
        return self._event("send-withheld", "sender", at, '"reason":"suppressed"')

    def started(self, at: int, attempt: int = 1) -> bytes:
        """A call was claimed."""
        position = f'"request":{{"partition":{self.partition},"offset":{self.offset}}}'
        data = f'"attempt":{attempt},"worker":"sender-0","incarnation":"5f1c9a7e",{position}'
        return self._event("attempt-started", "sender", at, data, attempt=attempt)

    def accepted(self, at: int, attempt: int = 1) -> bytes:
        """The provider took it."""
        data = f'"attempt":{attempt},"tracking_id":"{self.tracking}","duration_ms":{30 + self.number % 90}.5'
        return self._event("send-accepted", "sender", at, data, attempt=attempt)

    def rejected(self, at: int) -> bytes:
        """The provider refused it for good."""
        data = '"attempt":1,"error_code":"E110","error_info":"Invalid receiver","error_class":"message"'
        return self._event("send-rejected", "sender", at, data, attempt=1)

    def throttled(self, at: int) -> bytes:
        """Too many calls: another attempt follows."""
        data = f'"attempt":1,"error_code":"E106","retry_at":"{_iso(at + 1_000_000)}"'
        return self._event("send-throttled", "sender", at, data, attempt=1)

    def unanswered(self, at: int) -> bytes:
        """Perhaps sent, perhaps not."""
        return self._event("send-unanswered", "sender", at, '"attempt":1,"reason":"timeout"', attempt=1)

    @property
    def tracking(self) -> str:
        """Its TRACKINGID."""
        return f"SMS_{self.number:09d}"

    def heard(self, at: int, claim: str, said: int) -> bytes:
        """A postback that came at `at`. The same claim and provider's time `said` are the same body."""
        number = f"{self.number * 8 + len(claim)}"
        code, detail, status = _SAYS[claim]
        detail = detail and f'"detail":"{detail}",'
        stamp = said - 700_000
        raw = _RAW % (
            *(number, _local(said), code, number, self.to, self.tracking, self.operator, status, _local(stamp)),
        )
        escaped = raw.replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        names = self.tracking, number, number, self.operator
        heard = _iso(at)
        times = _iso(said), _iso(stamp), heard
        body = ids.body_id(raw.encode())
        event = (body, "postback-received", "receiver", heard, self.recipient, code, claim, detail, *names, *times)
        return (_POSTBACK % (*event, escaped)).encode()
