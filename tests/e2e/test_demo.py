from __future__ import annotations

import json
import os
import re
from pathlib import Path

from sendledger.edges.api.auth import Tokens
from sendledger.edges.token_file import TokenFile
from tests.support.canaries import Found, files
from tests.support.instance import sendledger
from tests.support.processes import processes_about, until

HOSTILE_SURROUNDINGS = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka.invalid:9092",
    "SENDLEDGER_PROVIDER_URL": "http://provider.invalid/",
    "SENDLEDGER_DATA_DIR": "/nonexistent",
    "SENDLEDGER_PARTITIONS": "nonsense",
}
TIMEOUT = 200.0


async def test_a_demo_agrees_with_the_providers_ledger(tmp_path: Path) -> None:
    """Every number of every campaign equals the provider's own ledger, and nothing is left running."""
    (tmp_path / ".env").write_text("SENDLEDGER_PROVIDER_URL=http://provider.invalid/\nKAFKA_BOOTSTRAP_SERVERS=x:1\n")
    arguments = ("demo", "--messages", "300", "--seed", "11", "--json", "out.json", "--keep", "kept")
    surroundings = {**os.environ, **HOSTILE_SURROUNDINGS}
    ended = await sendledger(*arguments, env=surroundings, directory=tmp_path, timeout=TIMEOUT)
    assert ended.code == 0, ended.out[-3000:] + ended.err[-3000:]
    shown = re.findall(r"Watch it live:  http://127\.0\.0\.1:\d+/\n  its token:    (\S+)\n", ended.out)
    caller = Tokens([], TokenFile(tmp_path / "kept" / "data")).caller(shown[0])
    assert caller is not None
    assert caller.scope == "admin"
    assert Found(files(tmp_path / "kept")).places_of(shown[0]) == set()
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["agrees"] is True
    assert sum(campaign["ours"]["requested"] for campaign in document["campaigns"].values()) == 300
    for campaign in document["campaigns"].values():
        assert campaign["ours"]["delivered"] > 0
        assert {name: n for name, n in campaign["ours"].items() if n} == {
            name: n for name, n in campaign["ledger"].items() if n
        }
    await until(lambda: not processes_about(tmp_path), f"nothing runs: {processes_about(tmp_path)}")


async def test_a_demo_with_crashes_still_agrees(tmp_path: Path) -> None:
    """Sender, receiver, fold and merge are each killed once: no message is sent twice and no number is wrong."""
    arguments = ("demo", "--messages", "600", "--seed", "12", "--kill", "--json", "out.json", "--keep", "kept")
    ended = await sendledger(*arguments, env=dict(os.environ), directory=tmp_path, timeout=TIMEOUT)
    assert ended.code == 0, ended.out[-3000:] + ended.err[-3000:]
    for role in ("sender", "receiver", "fold", "merge"):
        assert f"kill -9 {role}" in ended.out
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["agrees"] is True
    for campaign in document["campaigns"].values():
        assert campaign["ledger"]["sent twice"] == 0
        assert campaign["ours"]["in_doubt"] == campaign["ledger"]["in_doubt"]
        assert campaign["ours"]["queued"] == campaign["ours"]["attempting"] == 0
    await until(lambda: not processes_about(tmp_path), f"nothing runs: {processes_about(tmp_path)}")


async def test_a_demo_begins_with_nothing(tmp_path: Path) -> None:
    """A directory that holds something already is not played in: the comparison would be worth nothing."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "ledger.jsonl").touch()
    ended = await sendledger("demo", "--keep", "kept", env=dict(os.environ), directory=tmp_path)
    assert ended.code == 1
    assert "not empty" in ended.err
    assert "Traceback" not in ended.err
