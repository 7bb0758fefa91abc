"""Users with known habits, and whether the log says what they saw."""
