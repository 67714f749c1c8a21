"""`python -m sendledger` is `sendledger`."""

from __future__ import annotations

from sendledger.cli import main

if __name__ == "__main__":
    main()
