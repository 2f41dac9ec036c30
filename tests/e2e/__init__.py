"""End-to-end tests on the sample, by the command line and the Python API."""
