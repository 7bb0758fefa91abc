"""The A/B test's decision, and the aliases that it moves."""
