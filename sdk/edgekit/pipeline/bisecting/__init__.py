"""Bisection: finds what ``edgekit.bundles.bisection`` holds, and cuts the operation out of its file."""
