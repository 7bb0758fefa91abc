"""Drift: the comparison of new data with the data that a model was trained on."""
