"""Who is answered by which version, and the log of what was answered."""
