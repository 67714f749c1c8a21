"""What a fresh machine relies on: the locked requirements and the set-up script."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
_SHELL = ("bash", "cat", "cut", "dirname", "env", "flock", "head", "mv", "rm", "sed", "sha256sum", "mkdir", "touch")
_TOOLS = (*_SHELL, "cp", "find", "sort", "xargs")
_JAVA = "#!/usr/bin/env bash\necho 'openjdk version \"{}.0.1\" 2025-01-01' >&2\n"
_MAVEN = (
    "#!/usr/bin/env bash\necho called >>calls\nmkdir -p infra/kafka/lib.new\ntouch infra/kafka/lib.new/kafka_x.jar\n"
)
_RELEASE = "streams/foldcore/target/release"
_CARGO = f"#!/usr/bin/env bash\nmkdir -p {_RELEASE}\necho built >{_RELEASE}/libfoldcore.so\n"
_BROKEN_CARGO = "#!/usr/bin/env bash\necho 'error[E0425]: cannot find value'\nexit 1\n"
_BROKEN_MAVEN = "#!/usr/bin/env bash\necho '[ERROR] no such artifact'\nexit 1\n"


class Machine:
    """A checkout on a machine that has nothing but the tools of a shell; .venv and the fold's library are made."""

    def __init__(self, directory: Path) -> None:
        self.checkout, self.path = directory / "checkout", directory / "bin"
        self.path.mkdir()
        for name in _TOOLS:
            found = shutil.which(name)
            assert found, name
            (self.path / name).symlink_to(found)
        for name in ("infra/setup.sh", "infra/kafka/pom.xml", "pyproject.toml"):
            self._copy(name)
        for name in ("requirements.in", "requirements-dev.txt"):
            self._copy(name)
        self._write(self.checkout / ".venv/bin/sendledger", "#!/usr/bin/env bash\n")
        (self.checkout / ".venv/bin/python").symlink_to(sys.executable)
        self._made(self.checkout / ".venv/.made-from", "requirements-dev.txt", "requirements.in", "pyproject.toml")
        self.core = self.checkout / "streams/foldcore"
        self._write(self.core / "src/lib.rs", "//! Of a test.")
        self._copy("streams/foldcore/Cargo.toml")
        self.library = self.checkout / "streams/sendledger/edges/libfoldcore.native"
        self._write(self.library, "old")
        self._made(self.core / "target/.made-from", "streams/foldcore/Cargo.toml", "streams/foldcore/src/lib.rs")

    def _made(self, stamp: Path, *parts: str) -> None:
        """Mark something as made from these files as they are."""
        content = b"".join((self.checkout / part).read_bytes() for part in parts)
        made = subprocess.run(["sha256sum"], input=content, capture_output=True, check=True).stdout.split()[0]
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_bytes(made + b"\n")

    def _copy(self, name: str) -> None:
        target = self.checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target)

    @staticmethod
    def _write(path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def has(self, name: str, script: str) -> Machine:
        """Put a program on the machine."""
        self._write(self.path / name, script)
        return self

    def set_up(self) -> tuple[int, list[str]]:
        """Run the script. Returns the exit code and what it said, line by line."""
        done = subprocess.run(
            [self.checkout / "infra/setup.sh"],
            cwd=self.checkout,
            env={"PATH": str(self.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One without Java, Maven and apt-get."""
    return Machine(tmp_path)


def test_a_missing_jdk_is_one_line(machine: Machine) -> None:
    """Without Java the script says what to install and fails."""
    assert machine.set_up() == (
        1,
        ["setup: missing: a JDK 17 or later (Debian, Ubuntu: apt-get install default-jdk-headless)"],
    )


def test_an_old_jdk_is_one_line(machine: Machine) -> None:
    """A Java that is too old is named with its version."""
    code, told = machine.has("java", _JAVA.format(11)).set_up()
    assert (code, told) == (1, ["setup: missing: a JDK 17 or later (found 11; JAVA_HOME chooses)"])


def test_a_missing_maven_is_one_line(machine: Machine) -> None:
    """Without Maven the script says what to install and fails."""
    code, told = machine.has("java", _JAVA.format(21)).set_up()
    assert (code, told) == (1, ["setup: missing: Maven (Debian, Ubuntu: apt-get install maven)"])


def test_a_missing_python_is_one_line(machine: Machine) -> None:
    """Without a Python that is new enough the script says so before it touches anything."""
    (machine.checkout / ".venv/bin/sendledger").unlink()
    code, told = machine.has("python3", "#!/usr/bin/env bash\nexit 1\n").set_up()
    assert code == 1
    assert told == ["setup: missing: Python 3.11 or later (Debian, Ubuntu: apt-get install python3 python3-venv)"]


def test_a_missing_rust_is_one_line(machine: Machine) -> None:
    """Without Rust the script says what to install and fails."""
    machine.library.unlink()
    code, told = machine.has("java", _JAVA.format(21)).set_up()
    wanted = "Rust (cargo), which builds the fold's library (Debian, Ubuntu: apt-get install cargo)"
    assert (code, told) == (1, [f"setup: missing: {wanted}"])


def test_the_library_is_built_anew_when_its_source_changes(machine: Machine) -> None:
    """A failed build leaves the old library and is tried again; a good one takes its place."""
    machine.has("java", _JAVA.format(17)).has("mvn", _MAVEN)
    (machine.core / "src/lib.rs").write_text("//! Of another test.", encoding="utf-8")
    code, told = machine.has("cargo", _BROKEN_CARGO).set_up()
    broken = "setup: cargo could not build the fold's library: error[E0425]: cannot find value"
    assert (code, told[-1]) == (1, broken)
    assert machine.library.read_text(encoding="utf-8") == "old"
    code, told = machine.has("cargo", _CARGO).set_up()
    assert (code, told[0]) == (0, "setup: building the fold's library")
    assert machine.library.read_text(encoding="utf-8") == "built\n"
    assert machine.set_up() == (0, [])


def test_the_second_call_does_nothing(machine: Machine) -> None:
    """What was fetched is not fetched again, until the pom changes."""
    machine.has("java", _JAVA.format(17)).has("mvn", _MAVEN)
    assert machine.set_up() == (0, ["setup: fetching Kafka's jars"])
    assert machine.set_up() == (0, [])
    pom = machine.checkout / "infra/kafka/pom.xml"
    pom.write_text(pom.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert machine.set_up() == (0, ["setup: fetching Kafka's jars"])
    assert (machine.checkout / "calls").read_text(encoding="utf-8").count("called") == 2


def test_a_failed_fetch_leaves_the_old_jars_and_is_tried_again(machine: Machine) -> None:
    """Maven's own words are passed on, and a half-fetched folder never counts as done."""
    machine.has("java", _JAVA.format(17)).has("mvn", _BROKEN_MAVEN)
    for _ in range(2):
        code, told = machine.set_up()
        assert code == 1
        assert told[-1] == "setup: Maven could not fetch Kafka's jars: [ERROR] no such artifact"
    assert not (machine.checkout / "infra/kafka/lib").exists()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-oracles.txt"])
def test_every_requirement_is_locked_by_hash_and_no_index_is_named(name: str) -> None:
    """Each line is one version with its hashes; no file says where packages come from."""
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|--trusted-host", text)
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==\S+ \\\n    --hash=sha256:", block), block.splitlines()[0]


def test_tests_run_with_the_versions_that_users_get() -> None:
    """Every version of requirements.txt stands in requirements-dev.txt too."""
    pin = re.compile(r"^[a-z0-9._-]+==\S+", re.MULTILINE)
    run, dev = (
        set(pin.findall((CHECKOUT / name).read_text(encoding="utf-8")))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert run <= dev
