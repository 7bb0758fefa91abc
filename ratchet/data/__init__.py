"""The table: read, typed, split the same way every time."""
