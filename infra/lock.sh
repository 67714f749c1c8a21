#!/usr/bin/env bash
# Locks each requirements*.in into its requirements*.txt: every version with its hashes, no address of an index.
# Versions that are locked already stay; `infra/lock.sh --upgrade` takes new ones. pip-tools lives in a venv of
# its own, because it is needed for nothing else. Run it with the oldest Python that we support.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
.venv/bin/python -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check pip-tools

# Declared by chdb-core for data frames, which no test of ours uses: 300 MB that need not be.
readonly NOT_FOR_ORACLES=(numpy pandas pyarrow python-dateutil pytz six tzdata)

for name in requirements requirements-dev requirements-bench requirements-oracles; do
  without=()
  if [[ $name == requirements-oracles ]]; then without=("${NOT_FOR_ORACLES[@]/#/--unsafe-package=}"); fi
  "$tools/bin/pip-compile" --quiet --generate-hashes --strip-extras --annotation-style=line --no-header \
    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
    "${without[@]}" --output-file "$name.txt" "$@" "$name.in"
done
