"""The embedded broker: a real JVM that starts, keeps its data, and never stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import textwrap
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from sendledger.config import KafkaSettings
from sendledger.edges import embedded_kafka
from sendledger.edges.embedded_kafka import BrokerError, EmbeddedKafka
from sendledger.edges.kafka import admin, consumer, producer
from tests.support.kafka import broker, eventually
from tests.support.processes import alive, descendants, kill

_PROGRAM = textwrap.dedent("""
    import asyncio, json, sys, threading
    from pathlib import Path
    from sendledger.edges.embedded_kafka import EmbeddedKafka

    kafka = EmbeddedKafka(Path(sys.argv[1]))

    def in_another_thread() -> None:
        asyncio.run(kafka.start())

    if sys.argv[2] == "thread":  # the thread that started the broker is gone while the program lives on
        thread = threading.Thread(target=in_another_thread)
        thread.start()
        thread.join()
    else:
        asyncio.run(kafka.start())
    print(json.dumps(kafka.bootstrap_servers), flush=True)
    threading.Event().wait()
""")


class Program:
    """A program of its own that started a broker and now only lives."""

    def __init__(self, process: asyncio.subprocess.Process, servers: str, children: set[int]) -> None:
        self.process, self.servers, self.children = process, servers, children

    @classmethod
    async def started(cls, directory: Path, how: str = "main") -> Program:
        """Start one and wait for its broker. `how`: from which thread."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, str(directory), how, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            servers = json.loads(await process.stdout.readline())
        return cls(process, servers, descendants(process.pid))

    async def killed(self) -> None:
        """End it with -9."""
        kill(self.process.pid)
        await self.process.wait()

    def left(self) -> set[int]:
        """Which of the processes that it had started still live."""
        return {pid for pid in self.children if alive(pid)}


async def write(kafka: KafkaSettings, topic: str, *values: bytes) -> None:
    """Write to the only partition of a topic that is created for it."""
    async with admin(kafka) as client:
        if topic not in await client.list_topics():
            await client.create_topics([NewTopic(topic, 1, 1, topic_configs={"flush.messages": "1"})])
    async with producer(kafka) as writer:
        for value in values:
            await writer.send_and_wait(topic, value)


async def read(kafka: KafkaSettings, topic: str, count: int) -> list[bytes | None]:
    """The first `count` values of a topic."""
    async with consumer(kafka, topic) as reader, asyncio.timeout(30):
        return [(await reader.getone()).value for _ in range(count)]


async def test_it_starts_on_an_empty_directory_and_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    """What was acknowledged before a clean stop is read after the next start, at other ports."""
    async with broker(tmp_path) as first:
        await write(first.kafka, "kept", b"one", b"two")
    async with broker(tmp_path) as second:
        assert await read(second.kafka, "kept", 2) == [b"one", b"two"]


async def test_stop_leaves_no_process_and_no_lock(tmp_path: Path) -> None:
    """After stop() the JVM and its guard are gone, and the directory can be used at once."""
    mine = descendants(os.getpid())
    async with broker(tmp_path):
        started = descendants(os.getpid()) - mine
        assert len(started) >= 2
    assert not {pid for pid in started if alive(pid)}
    async with broker(tmp_path):
        pass


async def test_stop_without_start_and_twice_does_nothing(tmp_path: Path) -> None:
    """stop() may be called at any time, so a failed start can always be cleaned up."""
    kafka = EmbeddedKafka(tmp_path)
    await kafka.stop()
    async with broker(tmp_path) as started:
        await started.stop()


async def test_a_second_instance_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    """The second one says which process holds the directory, and the first one goes on."""
    async with broker(tmp_path) as first:
        with pytest.raises(BrokerError, match=rf"process {os.getpid()} runs Kafka on .*SENDLEDGER_DATA_DIR"):
            await EmbeddedKafka(tmp_path).start()
        await write(first.kafka, "still", b"here")


@pytest.mark.parametrize("how", ["main", "thread"])
async def test_kill_9_of_the_program_leaves_no_jvm_and_loses_no_data(tmp_path: Path, how: str) -> None:
    """Also when the thread that started the broker had ended before: guard and JVM go, acknowledged data stay."""
    program = await Program.started(tmp_path, how)
    await write(KafkaSettings(bootstrap_servers=program.servers), "kept", b"acknowledged")
    await program.killed()
    await eventually(lambda: not program.left(), timeout=20, what="guard and JVM are gone")
    async with broker(tmp_path) as again:
        assert await read(again.kafka, "kept", 1) == [b"acknowledged"]


async def test_the_end_of_a_starting_thread_does_not_stop_the_broker(tmp_path: Path) -> None:
    """A broker that was started from a thread lives as long as the program, not as long as the thread."""
    program = await Program.started(tmp_path, "thread")
    try:
        await write(KafkaSettings(bootstrap_servers=program.servers), "alive", b"yes")
    finally:
        await program.killed()
        await eventually(lambda: not program.left(), timeout=20)


async def test_kill_9_of_program_and_guard_leaves_no_jvm(tmp_path: Path) -> None:
    """When nobody is left to stop the JVM the kernel does, and the next start recovers the log."""
    program = await Program.started(tmp_path)
    await write(KafkaSettings(bootstrap_servers=program.servers), "kept", b"acknowledged")
    (guard,) = [pid for pid in program.children if "broker_guard" in _command(pid)]
    program.process.kill()
    kill(guard)
    await program.process.wait()
    await eventually(lambda: not program.left(), timeout=10, what="the JVM is gone")
    async with broker(tmp_path) as again:
        assert await read(again.kafka, "kept", 1) == [b"acknowledged"]


async def test_a_start_right_after_kill_9_waits_for_the_old_jvm(tmp_path: Path) -> None:
    """A supervisor may restart the program at once: the new one waits until the old broker has let go."""
    program = await Program.started(tmp_path)
    await program.killed()
    async with broker(tmp_path) as again:
        await write(again.kafka, "fresh", b"start")
    assert not program.left()


async def test_the_death_of_the_jvm_is_told(tmp_path: Path) -> None:
    """ended() returns when the broker dies by itself, so that the program can end too."""
    mine = descendants(os.getpid())
    async with broker(tmp_path) as kafka:
        (jvm,) = [pid for pid in descendants(os.getpid()) - mine if "broker_guard" not in _command(pid)]
        kill(jvm)
        async with asyncio.timeout(20):
            assert await kafka.ended() != 0


@pytest.mark.parametrize(
    ("settings", "what"),
    [({"num.io.threads": "-1"}, "could not format"), ({"metric.reporters": "no.Such"}, "ended while starting")],
)
async def test_a_broken_setting_is_told_with_the_broker_s_reason(
    tmp_path: Path, settings: dict[str, str], what: str
) -> None:
    """A broker that cannot start gives its own reason and the place of its log, in one line."""
    with pytest.raises(BrokerError, match=rf"Kafka {what}.*\(.*Exception.*\): see .*server\.log") as told:
        await EmbeddedKafka(tmp_path, settings=settings).start()
    assert "\n" not in str(told.value)


async def test_a_port_that_somebody_takes_meanwhile_is_only_a_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between choosing a port and binding it another process may be faster: other ports are tried."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        unlucky = [taken.getsockname()[1], *embedded_kafka._free_ports(1)]
        choices = iter([unlucky, embedded_kafka._free_ports(2)])
        monkeypatch.setattr(embedded_kafka, "_free_ports", lambda _count: next(choices))
        async with broker(tmp_path) as kafka:
            await write(kafka.kafka, "second", b"try")


async def test_missing_jars_and_java_are_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each missing prerequisite is one line that says what to do."""
    with pytest.raises(BrokerError, match=r"no Kafka jars in .*make setup"):
        await EmbeddedKafka(tmp_path, jars=tmp_path).start()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="JDK 17"):
        await EmbeddedKafka(tmp_path).start()


async def test_the_broker_inherits_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P8: neither the JVM's environment nor its command line carries the program's secrets."""
    monkeypatch.setenv("SENDLEDGER_PROVIDER_API_KEY", "canary-api-key-0123456789")
    mine = descendants(os.getpid())
    async with broker(tmp_path):
        for pid in descendants(os.getpid()) - mine:
            assert "canary" not in _command(pid) + _command(pid, "environ")


async def test_records_get_the_broker_s_time_and_topics_are_never_made_by_accident(tmp_path: Path) -> None:
    """LogAppendTime is the default, and a write to an unknown topic fails instead of making it."""
    async with broker(tmp_path) as kafka:
        await write(kafka.kafka, "timed", b"x")
        async with consumer(kafka.kafka, "timed") as reader, asyncio.timeout(30):
            assert (await reader.getone()).timestamp_type == 1
        async with producer(kafka.kafka, request_timeout_ms=1000) as writer:
            with pytest.raises(Exception, match=r"(?i)metadata|unknown"):
                await writer.send_and_wait("nobody-made-me", b"x", partition=0)
        async with admin(kafka.kafka) as client:
            assert "nobody-made-me" not in await client.list_topics()
        async with consumer(kafka.kafka) as reader:
            assert await reader.end_offsets([TopicPartition("timed", 0)])


def _command(pid: int, what: str = "cmdline") -> str:
    return Path(f"/proc/{pid}/{what}").read_text(encoding="utf-8").replace("\0", " ")
