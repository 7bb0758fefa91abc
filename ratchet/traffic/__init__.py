"""Simulated users who send requests to a service, and the check that its log is complete."""
