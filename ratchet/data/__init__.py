"""Sources of tables, and a split that is the same every time."""
