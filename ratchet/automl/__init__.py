"""AutoML: PyCaret searches in an environment of its own, and the result is a model config."""
