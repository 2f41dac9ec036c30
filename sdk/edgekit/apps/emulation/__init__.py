"""Programs for another processor on this machine: what is needed for that, and how they are run."""
