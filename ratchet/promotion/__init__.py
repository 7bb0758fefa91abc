"""What may go forward, and why."""
