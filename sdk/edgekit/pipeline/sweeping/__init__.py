"""Sweeps: projects times targets times schemes times settings, each cell once, on any number of machines."""
