"""The service: it routes each user to a version, answers, and logs the answers."""
