"""Texts and senders that try to break out, from the API through Kafka and the sender to the provider's own ledger."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from sendledger.config import Settings
from sendledger.simulator.ledger_reader import read_ledger
from tests.support.api import running_api
from tests.support.sender import answered, sender, sending
from tests.support.simulation import simulator

FIRST = 15_550_000_000

TEXTS = [
    # as submitted, as the provider has it (None: just so)
    ("]]>", None),
    ("a]]>b<![CDATA[c]]>", None),
    ("<TO>15550009999</TO>", None),
    ("x</TEXT><TEXT>y", None),
    ("</REQUEST>", None),
    ("<!-- no --><?xml version='1.0'?>", None),
    ("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;", None),
    ("&#x0;&#13;&#xD;&amp;lt;&quot;&nbsp;", None),
    ("a & b && c &", None),
    ("'single' \"double\" `back`", None),
    ("100%0D%0Aa+b=c&xml=%3CREQUEST%3E", None),
    ("line\nfeed", None),
    ("carriage\rreturn", None),
    ("carriage\r\nreturn and\r\rmore", None),
    ("tab\tinside", None),
    ("  blanks around \t\r\n", "blanks around"),
    ("\u3000\u00a0wide blanks around\u2028", "wide blanks around"),
    ("no\u00a0break\u2028line\u2029paragraph\u200bzero", None),
    ("\ufeffbyte order mark\ufeff", None),
    ("e\u0301 and \u00e9, A\u030a and \u00c5 and \u212b", None),  # nobody may normalise
    ("\u200f\u05e2\u05d1\u05e8\u05d9\u05ea\u200e \u202eabc\u202c", None),
    ("\u2067isolate\u2069", None),
    ("😀 👨\u200d👩\u200d👧 🇵🇱 👍🏽", None),
    ("\ud7ff\ue000\ufffd\U00010000\U0010ffff", None),
    ("Zażółć gęślą jaźń – €[]{}~^|\\", None),
    ("😀" * 160, None),
    ("&" * 160, None),
    ("{{7*7}} ${PATH} $(id) %s %n ../../etc", None),
]
REFUSED = ["a\x00b", "\x1b[31mred", "bell\x07", "del\x7f", "a\u0085b", "a\ufffe", "a\uffff", "😀" * 161]
SENDERS = ["60856", "]]>", "<b>&'\"", "Straße 1", "😀", "\u202eabc", "a&#13;b", "e\u0301", "x" * 20]
REFUSED_SENDERS = ["a\rb", "a\nb", "a\x00b", "a\tb", "a\x85b", "\x7fa", "x" * 21, " \u3000"]
# A lone surrogate, and bytes that are no UTF-8, are no JSON.
HALVES = [b'{"sender":"1","text":"a\\ud800","recipients":["15551234888"]}', b'{"sender":"\xff"}']


def digest(text: str) -> str:
    """As the provider's ledger keeps a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def as_csv(texts: list[str]) -> bytes:
    """A file of these texts, the recipients after those of `TEXTS`."""
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(("to", "text"))
    rows.writerows((FIRST + 1_000 + number, text) for number, text in enumerate(texts))
    return written.getvalue().encode()


async def test_the_provider_reads_exactly_what_was_meant(shared_kafka: Settings, tmp_path: Path) -> None:
    """Each text and each sender arrives character by character, or is refused with its row."""
    async with simulator(tmp_path) as provider, running_api(shared_kafka) as api:
        rows = [{"to": str(FIRST + number), "text": text} for number, (text, _) in enumerate(TEXTS)]
        bad = [{"to": str(FIRST + 500 + number), "text": text} for number, text in enumerate(REFUSED)]
        answer = await api.submit("texts", [*rows, *bad], text=None)
        assert (answer.status, answer.json["accepted"]) == (202, len(rows))
        assert [row["row"] for row in answer.json["refused"]] == list(range(len(rows) + 1, len(rows) + len(bad) + 1))
        assert {row["field"] for row in answer.json["refused"]} == {"text"}
        in_file = [text for text, _ in TEXTS]
        assert (await api.upload("file", as_csv(in_file))).json["accepted"] == len(in_file)
        for number, name in enumerate(SENDERS):
            to = [str(FIRST + 2_000 + number)]
            assert (await api.submit(f"sender-{number}", to, sender=name, text="Hello")).status == 202
        for name in REFUSED_SENDERS:
            assert (await api.submit("sender", [str(FIRST)], sender=name)).json["errors"][0]["field"] == "sender"
        for body in HALVES:
            headers = {"Content-Type": "application/json"}
            answer = await api.call("POST", "/v1/campaigns/texts/messages", data=body, headers=headers)
            assert (answer.status, answer.json["errors"][0]["field"]) == (422, "body")
        async with sender(sending(shared_kafka, provider.url)):
            await answered(shared_kafka, 2 * len(TEXTS) + len(SENDERS))
    truth = read_ledger(tmp_path / "ledger.jsonl")
    assert truth.anonymous == []
    found = {int(message.to) - FIRST: message for message in truth.messages}
    assert len(truth.messages) == len(found) == 2 * len(TEXTS) + len(SENDERS)
    for number, (text, arrives) in enumerate(TEXTS):
        expected = text if arrives is None else arrives
        assert found[number].text_sha256 == digest(expected), ascii(text)
        # a file's line ends are all one
        lines = expected.replace("\r\n", "\n").replace("\r", "\n")
        assert found[1_000 + number].text_sha256 == digest(lines), ascii(text)
    assert [found[2_000 + n].submissions[0].sender for n in range(len(SENDERS))] == SENDERS
