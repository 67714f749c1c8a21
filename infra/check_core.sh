#!/usr/bin/env bash
# The checks of the fold's library: its own tests; form and lint where the toolchain has them (Debian's has not).
set -euo pipefail
cd "$(dirname "$0")/../streams/foldcore"
if cargo fmt --version >/dev/null 2>&1; then cargo fmt --check; fi
if cargo clippy --version >/dev/null 2>&1; then cargo clippy --release --offline --quiet -- --deny warnings; fi
told=$(cargo test --release --offline --quiet 2>&1) || { printf "%s\n" "$told"; exit 1; }
