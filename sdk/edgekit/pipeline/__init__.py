"""The verbs that compute: build, record a baseline, compare with it, and profile."""
