"""A real board that is reached by the system's ssh: it gets a native folder, runs it, and gives the answers back."""
