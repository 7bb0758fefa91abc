"""The MLflow store (database and files) of a repository without a server, kept on a git ref."""
