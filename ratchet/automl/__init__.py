"""AutoML: PyCaret searches for a model in a separate environment; the result is a model config."""
