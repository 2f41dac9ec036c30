"""The native program: compiled, run as on a device, held against the Python runtime, watched by sanitizers."""
