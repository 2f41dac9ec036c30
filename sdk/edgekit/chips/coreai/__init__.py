"""Apple's Core AI: an .aimodel, run by the CPU runtime for Linux that Apple publishes with its packages."""
