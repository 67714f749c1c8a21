"""`sendledger verify`: the log folded anew, the plain way, and compared with everything that is published."""
