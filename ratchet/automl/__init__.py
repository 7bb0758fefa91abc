"""PyCaret finds a model in its own environment; what comes back is a model config."""
