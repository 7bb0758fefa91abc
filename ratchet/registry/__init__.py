"""Runs, versions, the ledger and what a step leaves to read."""
