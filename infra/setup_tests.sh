#!/usr/bin/env bash
# What `make test` needs on top of setup.sh: Debian's Chromium, Prometheus (promtool), PostgreSQL and wrk, and the npm packages
# of tests/oracles/, each folder with its versions and hashes in package-lock.json, and ClickHouse as a library in a venv of its
# own. What is missing and cannot be had here is said, and all ends well: the test that needs it then says why it is skipped,
# and fails where CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly LEAST_NODE=18 CLICKHOUSE=.venv-oracles

say() { printf 'setup: %s\n' "$*" >&2; }

postgres_is_there() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null; }
node_is_there() { command -v npm >/dev/null && node -e "process.exit(Number(process.versions.node.split('.')[0] < $LEAST_NODE))" 2>/dev/null; }

missing_packages() {
  node_is_there || echo nodejs npm
  command -v chromium >/dev/null || echo chromium
  command -v promtool >/dev/null || echo prometheus
  command -v wrk >/dev/null || echo wrk
  postgres_is_there || echo postgresql
}

# The tests start their own servers: what apt-get installs must not start any.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  if [[ -e $policy ]]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  local ended=0
  "$@" || ended=$?
  rm -f "$policy"
  return "$ended"
}

install_packages() {
  local -a packages
  mapfile -t packages < <(missing_packages | tr ' ' '\n')
  ((${#packages[@]})) || return 0
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    say "missing: ${packages[*]}; tests that need them are skipped (Debian, Ubuntu: apt-get install ${packages[*]})"
    return
  fi
  say "installing ${packages[*]} (apt-get)"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && without_services apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >/dev/null ||
    say "apt-get could not install all of: ${packages[*]}"
}

# $1: a folder with package.json and package-lock.json
install_oracle() {
  local folder=$1 stamp=$1/node_modules/.made-from wanted
  wanted=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum | cut -d' ' -f1)
  if [[ $(cat "$stamp" 2>/dev/null) == "$wanted" ]]; then return; fi
  say "installing $folder (npm)"
  if npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; then
    echo "$wanted" >"$stamp"
  else
    say "npm could not install $folder"
  fi
}

# --no-deps: what chdb-core declares besides is for data frames only (infra/lock.sh).
install_clickhouse() {
  local wanted
  wanted=$(sha256sum <requirements-oracles.txt | cut -d' ' -f1)
  if [[ $(cat "$CLICKHOUSE/.made-from" 2>/dev/null) == "$wanted" ]]; then return; fi
  say "installing ClickHouse as a library"
  .venv/bin/python -m venv --clear "$CLICKHOUSE"
  if "$CLICKHOUSE/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes \
    -r requirements-oracles.txt; then
    echo "$wanted" >"$CLICKHOUSE/.made-from"
  else
    say "pip could not install ClickHouse as a library"
  fi
}

exec 9<"$0" # two calls at once must not install into the same places
flock 9
install_packages
install_clickhouse
if ! node_is_there; then
  say "without Node.js $LEAST_NODE or later and npm nothing is checked against the npm packages in tests/oracles"
  exit 0
fi
for package in tests/oracles/*/package.json; do install_oracle "$(dirname "$package")"; done
