"""Runs, versions, aliases and the ledger. Only this room writes to MLflow's registry."""
