"""Sendledger: an event-sourced ledger of every SMS of a campaign."""
