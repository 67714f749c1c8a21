"""Files of an export: whole or not there, for their owner alone if they hold numbers, and no cell that calculates."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from sendledger.edges.exports.database import Database
from sendledger.edges.exports.files import SUFFIX, Format, Selection, TargetError, new, write_file, write_folder
from sendledger.edges.exports.scan import Reading
from tests.support.exports import Log, rows
from tests.support.states import NOW, message_state


@pytest.mark.parametrize("folder", [True, False])
def test_what_fails_leaves_all_as_it_was(tmp_path: Path, folder: bool) -> None:  # noqa: FBT001
    """An export that breaks off is not there; what was there before stays, also if it was to be replaced."""
    target = tmp_path / "out"

    def written(text: str, *, fails: bool = False, overwrite: bool = False) -> None:
        with new(target, folder=folder, overwrite=overwrite, private=True) as draft:
            (draft / "f" if folder else draft).write_text(text, encoding="utf-8")
            if fails:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written("half", fails=True)
    assert not list(tmp_path.iterdir())
    written("first")
    with pytest.raises(TargetError, match="--overwrite"):
        written("second")
    with pytest.raises(KeyboardInterrupt):
        written("half", fails=True, overwrite=True)
    file = target / "f" if folder else target
    assert file.read_text(encoding="utf-8") == "first"
    written("second", overwrite=True)
    assert file.read_text(encoding="utf-8") == "second"
    assert list(tmp_path.iterdir()) == [target]
    assert target.stat().st_mode & 0o077 == 0


def test_a_target_that_cannot_be_is_told(tmp_path: Path) -> None:
    """A file where a folder should be, and the like, are one sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="cannot write"), new(tmp_path / "file" / "out"):
        raise AssertionError


@pytest.mark.parametrize("format_", SUFFIX)
def test_every_format_holds_every_value(made: Database, tmp_path: Path, format_: Format) -> None:
    """Quotes, separators, line breaks and formulas come back as they were, but for CSV's apostrophe; private stays."""
    nasty = ["=1+1", 'a"b', "a,b;c", "two\nlines", "\ttab", "-5", "", "żółć 😀"]
    log = Log(Reading(made, ("messages",)))
    for number, text in enumerate(nasty):
        log.message(message_state(f"m{number}", detail=text, sent_at=NOW))
    made.settle("messages")
    target = tmp_path / f"out{SUFFIX[format_]}"
    with new(target, private=True) as draft:
        assert write_file(made, "messages", draft, format_) == len(nasty)
        assert draft.stat().st_mode & 0o777 == 0o600  # while it grows, too
    assert target.stat().st_mode & 0o777 == 0o600
    if format_ == "parquet":
        found = [(row["detail"], row["attempts"], row["sent_at"].isoformat()) for row in rows(target)]
        assert found == [(text, 1, "2026-11-22T12:00:00+00:00") for text in nasty]
        return
    with target.open(encoding="utf-8", newline="") as lines:
        parsed = list(csv.DictReader(lines)) if format_ == "csv" else [json.loads(line) for line in lines]
    shown = ["'=1+1", *nasty[1:4], "'\ttab", "'-5", *nasty[6:]] if format_ == "csv" else nasty
    assert [row["detail"] for row in parsed] == shown
    assert {row["sent_at"] for row in parsed} == {"2026-11-22T12:00:00.000000Z"}
    assert {str(row["attempts"]) for row in parsed} == {"1"}


def test_a_selection_is_of_a_bucket_and_of_days(made: Database, tmp_path: Path) -> None:
    """Both ends of a stretch of days are in it; folders are there for what was chosen only."""
    log = Log(Reading(made, ("messages",)))
    for day in range(1, 6):
        for bucket in ("sent", "delivered"):
            log.message(message_state(f"{bucket}{day}", "a/b", bucket=bucket, requested_at=NOW.replace(day=day)))
    made.settle("messages")
    chosen = Selection("sent", date(2026, 11, 2), date(2026, 11, 4))
    assert write_folder(made, tmp_path / "out", "parquet", chosen) == 3
    days = sorted(path.parent.name for path in (tmp_path / "out" / "campaign_id=a%2Fb").rglob("*.parquet"))
    assert days == ["day=2026-11-02", "day=2026-11-03", "day=2026-11-04"]
