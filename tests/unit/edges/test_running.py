from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sendledger.edges import running


def test_a_running_instance_is_found(tmp_path: Path) -> None:
    """What an instance announces is what a verb of the CLI finds, in a file that only its owner reads."""
    announced = running.announce(
        tmp_path, bootstrap_servers="127.0.0.1:9", embedded=True, urls={"api": "http://127.0.0.1:8080"}
    )
    assert running.find(tmp_path) == announced
    assert announced.pid == os.getpid()
    assert stat.S_IMODE((tmp_path / "running.json").stat().st_mode) == 0o600


def test_after_withdrawal_nothing_is_found(tmp_path: Path) -> None:
    """An instance that stopped is not found, and withdrawing twice does no harm."""
    running.announce(tmp_path, bootstrap_servers="127.0.0.1:9", embedded=True, urls={})
    running.withdraw(tmp_path)
    running.withdraw(tmp_path)
    assert running.find(tmp_path) is None


def test_the_file_of_a_dead_process_is_stale(tmp_path: Path) -> None:
    """A file left behind by a process that was killed names nobody."""
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    fields = {"pid": int(dead.stdout), "started": "1", "bootstrap_servers": "127.0.0.1:9", "embedded": True, "urls": {}}
    (tmp_path / "running.json").write_text(json.dumps(fields))
    assert running.find(tmp_path) is None


def test_a_process_id_given_away_again_is_stale(tmp_path: Path) -> None:
    """A live process with the same id but another start time is somebody else."""
    fields = {"pid": os.getpid(), "started": "1", "bootstrap_servers": "127.0.0.1:9", "embedded": True, "urls": {}}
    (tmp_path / "running.json").write_text(json.dumps(fields))
    assert running.find(tmp_path) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pid": 1}', '{"pid":1,"started":"","bootstrap_servers":"","x":1}']
)
def test_a_broken_file_is_no_instance(tmp_path: Path, content: str) -> None:
    """A file cut short or of another form is as good as none."""
    (tmp_path / "running.json").write_text(content)
    assert running.find(tmp_path) is None


def test_a_second_instance_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    """Two instances never share a data directory, and the message says who holds it."""
    with (
        running.only_instance(tmp_path / "data"),
        pytest.raises(running.AlreadyRunningError, match=str(os.getpid())),
        running.only_instance(tmp_path / "data"),
    ):
        pytest.fail("the second one got in")


def test_the_data_directory_is_free_again_afterwards(tmp_path: Path) -> None:
    """The lock goes with the instance that held it."""
    for _ in range(2):
        with running.only_instance(tmp_path):
            pass
