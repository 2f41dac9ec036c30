"""Fast tests: no torch."""
