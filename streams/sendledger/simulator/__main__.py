"""`python -m sendledger.simulator`."""

from __future__ import annotations

import sys

from sendledger.simulator.program import main

sys.exit(main(sys.argv[1:]))
