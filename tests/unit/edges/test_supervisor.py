from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from sendledger.edges.supervisor import Program, Supervisor, delay_after
from tests.support.processes import alive, kill, until

SLEEPS = "import time; time.sleep(60)"
CHILD = """
import time
from pathlib import Path
from sendledger.edges.parent import end_with_parent
end_with_parent()
Path({marker!r}).write_text("up")
time.sleep(60)
"""
PARENT = """
import asyncio, os, sys
from pathlib import Path
from sendledger.edges.supervisor import Program, Supervisor
async def main():
    supervisor = Supervisor()
    await supervisor.start(Program("child", (sys.executable, "-c", {child!r}), dict(os.environ)))
    Path({pid_file!r}).write_text(str(supervisor.pid("child")))
    await asyncio.sleep(60)
asyncio.run(main())
"""


def program(code: str, name: str = "one", output: Path | None = None) -> Program:
    """A program of Python code."""
    return Program(name, (sys.executable, "-c", code), dict(os.environ), output)


def test_the_delay_doubles_up_to_its_limit() -> None:
    """A program that keeps failing is started more and more rarely, and never less often than twice a minute."""
    assert [delay_after(n) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert delay_after(100) == 30.0


async def test_a_killed_program_is_started_again() -> None:
    """A crash costs a restart, nothing more."""
    supervisor = Supervisor()
    await supervisor.start(program(SLEEPS))
    first = supervisor.kill("one")
    await until(lambda: supervisor.restarts("one") == 1 and supervisor.pid("one"), "it runs again")
    assert supervisor.pid("one") != first
    await supervisor.stop_all()


async def test_a_stopped_program_stays_stopped() -> None:
    """After `stop` nothing of the program runs and nothing starts it again."""
    supervisor = Supervisor()
    await supervisor.start(program(SLEEPS))
    pid = supervisor.pid("one")
    assert pid is not None
    await supervisor.stop("one")
    assert not alive(pid)
    assert supervisor.restarts("one") == 0


async def test_programs_stop_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    """What feeds the others stops first: each program has ended before the next one is asked to."""
    story = tmp_path / "story"
    note = "import signal,sys,time\ndef end(*_):\n    open({story!r},'a').write({name!r}); sys.exit()\n"
    code = note + "signal.signal(signal.SIGTERM, end)\nopen({story!r}+{name!r},'w').close()\ntime.sleep(60)"
    supervisor = Supervisor()
    for name in "abc":
        await supervisor.start(program(code.format(story=str(story), name=name), name))
    await until(lambda: all((tmp_path / f"story{name}").exists() for name in "abc"), "all run")
    await supervisor.stop_all(("b", "a"))
    assert story.read_text() == "bac"


async def test_a_program_that_does_not_listen_is_killed() -> None:
    """A program that ignores SIGTERM does not hold up the end of the others."""
    supervisor = Supervisor()
    code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    await supervisor.start(program(code))
    pid = supervisor.pid("one")
    assert pid is not None
    await supervisor.stop("one", grace=0.5)
    assert not alive(pid)


async def test_wrong_settings_are_not_tried_again() -> None:
    """Exit code 2 means that no restart can help: the supervisor says so instead of trying for ever."""
    supervisor = Supervisor()
    await supervisor.start(program("raise SystemExit(2)", "sender"))
    reason = await asyncio.wait_for(supervisor.gave_up, 20)
    assert "sender" in str(reason)
    assert supervisor.restarts("sender") == 0
    await supervisor.stop_all()


async def test_output_goes_where_it_is_told(tmp_path: Path) -> None:
    """Both streams of a program end up in its log file."""
    log = tmp_path / "one.log"
    supervisor = Supervisor()
    await supervisor.start(program("import sys; print('out'); print('err', file=sys.stderr); sys.exit(2)", output=log))
    await asyncio.wait_for(supervisor.gave_up, 20)
    assert set(log.read_text().split()) == {"out", "err"}
    await supervisor.stop_all()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's request exists only on Linux")
async def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the supervisor leaves none of its children behind."""
    marker, pid_file = tmp_path / "marker", tmp_path / "pid"
    code = PARENT.format(child=CHILD.format(marker=str(marker)), pid_file=str(pid_file))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await until(lambda: marker.exists() and pid_file.exists() and pid_file.read_text(), "the child runs")
    child = int(pid_file.read_text())
    assert alive(child)
    kill(parent.pid)
    await parent.wait()
    await until(lambda: not alive(child), "the child has ended")
