"""`sendledger simulator`: options → listen → tell the address → run until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop

from sendledger.simulator.ledger import LedgerFailed
from sendledger.simulator.options import Options, WrongOption, parse
from sendledger.simulator.server import Simulator

_WRONG = 2


def main(argv: Sequence[str]) -> int:
    """Runs until SIGTERM or SIGINT (0); 2 for a wrong setting, 1 if the ledger's disk fails."""
    try:
        options = parse(argv)
    except WrongOption as error:
        sys.stderr.write(f"sendledger simulator: {error}\n")
        return _WRONG
    try:
        uvloop.run(_run(options))
    except (LedgerFailed, OSError) as error:
        sys.stderr.write(f"sendledger simulator: {error}\n")
        return 1
    return 0


async def _run(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(options) as simulator:
        if options.address_file is not None:
            _tell(options, simulator.url)
        sys.stdout.write(f"listening on {simulator.url}\n")
        sys.stdout.flush()
        await _until(stop, simulator)


def _tell(options: Options, url: str) -> None:
    # Renamed into place: whoever waits for the file never reads half of it.
    if options.address_file is not None:
        unfinished = options.address_file.with_name(options.address_file.name + ".part")
        unfinished.write_text(url + "\n", encoding="utf-8")
        unfinished.replace(options.address_file)


async def _until(stop: asyncio.Event, simulator: Simulator) -> None:
    stopping, failing = asyncio.create_task(stop.wait()), asyncio.create_task(simulator.failed())
    await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if failing.done():
        failing.result()
    failing.cancel()
