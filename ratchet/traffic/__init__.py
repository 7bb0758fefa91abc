"""Simulated users for a service, and the comparison of its log with their answers."""
