"""The pure core: facts in, state and numbers out. No clock, no I/O, no log, no random number (import contract)."""
