"""A model config becomes a recorded run and a version."""
