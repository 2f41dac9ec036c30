"""Two at once, and killed at any moment: whatever happens, what is there is one whole result."""
