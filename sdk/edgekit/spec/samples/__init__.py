"""Projects to start from: digits, which are whole, and networks whose weights and data come from packages."""
