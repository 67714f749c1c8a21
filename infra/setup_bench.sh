#!/usr/bin/env bash
# What `make bench-fold` needs on top of setup.sh: the other stream processors, in a venv of their own, and the Kafka
# Streams program, compiled. Each half has a stamp over what it was made from.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=.venv-bench STREAMS=tests/bench/peers/kafka_streams
readonly VENV_STAMP=$VENV/.made-from STREAMS_STAMP=$STREAMS/target/.made-from

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

hash_of() { cat "$@" | sha256sum | cut -d' ' -f1; }
venv_hash() { hash_of requirements-bench.txt; }
streams_hash() { hash_of "$STREAMS/pom.xml" "$STREAMS"/src/main/java/sendledger/bench/*.java; }

venv_is_made() { [[ $(cat "$VENV_STAMP" 2>/dev/null) == "$(venv_hash)" ]] && "$VENV/bin/python" -c ''; }
streams_are_made() { [[ $(cat "$STREAMS_STAMP" 2>/dev/null) == "$(streams_hash)" ]]; }

make_venv() {
  say "installing the other stream processors"
  .venv/bin/python -m venv --clear "$VENV"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
  venv_hash >"$VENV_STAMP"
}

make_streams() {
  command -v javac >/dev/null || fail "missing: a JDK with javac (Debian, Ubuntu: apt-get install default-jdk-headless)"
  command -v mvn >/dev/null || fail "missing: Maven (Debian, Ubuntu: apt-get install maven)"
  say "compiling the Kafka Streams program"
  local told
  told=$(mvn --batch-mode --quiet -Dstyle.color=never --file "$STREAMS/pom.xml" clean package 2>&1) ||
    fail "Maven could not build it: $told"
  streams_hash >"$STREAMS_STAMP"
}

exec 9<"$0" # two calls at once must not install into the same places
flock 9
venv_is_made || make_venv
streams_are_made || make_streams
