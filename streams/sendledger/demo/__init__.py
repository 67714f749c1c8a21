"""`sendledger demo`: the whole program against the simulator, compared with the simulator's own ledger at the end."""
