"""The MLflow store of a repository without a server: it lies on a git ref between runs."""
