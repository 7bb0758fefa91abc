"""Runs, versions, aliases and the ledger. Only this package writes to MLflow's registry."""
