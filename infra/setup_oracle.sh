#!/usr/bin/env bash
# What `make test` needs on top of setup.sh: the npm package that counts the parts of a text, as an oracle, with its
# versions and hashes from package-lock.json. Without Node.js (and no right to install it) it says so and ends well:
# the test that needs it then says why it is skipped, and fails where CI is set.
set -euo pipefail
cd "$(dirname "$0")/../tests/oracles/sms"

readonly STAMP=node_modules/.made-from LEAST_NODE=18

say() { printf 'setup: %s\n' "$*" >&2; }

wanted() { cat package.json package-lock.json | sha256sum | cut -d' ' -f1; }
is_made() { [[ $(cat "$STAMP" 2>/dev/null) == "$(wanted)" ]] && command -v node >/dev/null; }
node_is_there() { command -v npm >/dev/null && node -e "process.exit(Number(process.versions.node.split('.')[0] < $LEAST_NODE))" 2>/dev/null; }

if is_made; then exit 0; fi
exec 9<package.json # two calls at once must not install into the same place
flock 9
if is_made; then exit 0; fi
if ! node_is_there && [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  say "installing nodejs npm (apt-get)"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm; } >/dev/null || true
fi
if ! node_is_there; then
  say "without Node.js $LEAST_NODE or later and npm the count of parts is not checked against its oracle"
  exit 0
fi
say "installing the oracle for the count of parts"
if npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; then
  wanted >"$STAMP"
else
  say "npm could not install the oracle for the count of parts"
fi
