"""Batch scoring: the predictions of a version for whole files."""
