#!/usr/bin/env bash
# Makes .venv from the hash-locked requirements, builds the fold's library and fetches Kafka's jars. Each has a stamp over
# what it was made from, so a second call only compares hashes. Says in one line what is missing; on Debian and Ubuntu as
# root it installs a missing JDK, Maven, Rust or venv module itself.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly LEAST_PYTHON="3.11" LEAST_JAVA=17
readonly PYTHON_STAMP=.venv/.made-from JARS_STAMP=infra/kafka/lib/.made-from
readonly CORE=streams/foldcore CORE_STAMP=streams/foldcore/target/.made-from
readonly CORE_LIBRARY=streams/sendledger/edges/libfoldcore.native

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

hash_of() { cat "$@" | sha256sum | cut -d' ' -f1; }
python_hash() { hash_of requirements-dev.txt requirements.in pyproject.toml; }
jars_hash() { hash_of infra/kafka/pom.xml; }
core_hash() { find "$CORE/src" "$CORE/Cargo.toml" -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -d' ' -f1; }

python_is_made() { [[ -x .venv/bin/sendledger && $(cat "$PYTHON_STAMP" 2>/dev/null) == "$(python_hash)" ]] && .venv/bin/python -c ''; }
core_is_built() { [[ -f $CORE_LIBRARY && $(cat "$CORE_STAMP" 2>/dev/null) == "$(core_hash)" ]]; }
jars_are_there() { [[ $(cat "$JARS_STAMP" 2>/dev/null) == "$(jars_hash)" ]]; }

apt_can() { [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; }
apt_install() {
  say "installing $* (apt-get)"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null ||
    fail "apt-get could not install $*"
}
# $1: what is missing, in words; the rest: Debian's packages for it
need() {
  local what=$1
  shift
  if apt_can; then apt_install "$@"; else fail "missing: $what (Debian, Ubuntu: apt-get install $*)"; fi
}

new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < (${LEAST_PYTHON/./, }))" 2>/dev/null; }
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
    if new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

java_version() {
  local java=java
  [[ -n ${JAVA_HOME:-} ]] && java="$JAVA_HOME/bin/java"
  "$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1
}
need_java() {
  local version
  version=$(java_version || true)
  if [[ -z $version ]]; then
    need "a JDK $LEAST_JAVA or later" default-jdk-headless
    version=$(java_version || true)
  fi
  [[ ${version:-0} -ge $LEAST_JAVA ]] || fail "missing: a JDK $LEAST_JAVA or later (found ${version:-none}; JAVA_HOME chooses)"
}

make_python() {
  local python
  if ! python=$(find_python); then
    need "Python $LEAST_PYTHON or later" python3 python3-venv
    python=$(find_python) || fail "missing: Python $LEAST_PYTHON or later (PYTHON=/path/to/it chooses)"
  fi
  "$python" -c 'import ensurepip, venv' 2>/dev/null || need "Python's venv module" python3-venv
  [[ -x .venv/bin/python ]] && new_enough .venv/bin/python || "$python" -m venv --clear .venv
  say "installing the Python packages"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
  python_hash >"$PYTHON_STAMP"
}

build_core() {
  command -v cargo >/dev/null || need "Rust (cargo), which builds the fold's library" cargo
  say "building the fold's library"
  local told
  told=$(cargo build --release --offline --quiet --manifest-path "$CORE/Cargo.toml" --target-dir "$CORE/target" 2>&1) ||
    fail "cargo could not build the fold's library: $told"
  # In one step: whoever runs keeps the file that it has.
  local built
  for built in "$CORE"/target/release/libfoldcore.{so,dylib}; do
    if [[ -f $built ]]; then cp "$built" "$CORE_LIBRARY.new"; fi
  done
  mv "$CORE_LIBRARY.new" "$CORE_LIBRARY"
  core_hash >"$CORE_STAMP"
}

fetch_jars() {
  command -v mvn >/dev/null || need "Maven" maven
  say "fetching Kafka's jars"
  rm -rf infra/kafka/lib.new
  local told
  told=$(mvn --batch-mode --quiet -Dstyle.color=never --file infra/kafka/pom.xml dependency:copy-dependencies 2>&1) ||
    fail "Maven could not fetch Kafka's jars: $told"
  rm -rf infra/kafka/lib
  mv infra/kafka/lib.new infra/kafka/lib
  jars_hash >"$JARS_STAMP"
}

if python_is_made && core_is_built && jars_are_there && [[ -n $(java_version || true) ]]; then exit 0; fi
exec 9<"$0" # two calls at once must not install into the same places
flock 9
python_is_made || make_python
core_is_built || build_core
need_java
jars_are_there || fetch_jars
