"""Profiling: measures what ``edgekit.profile`` holds. One module for each part."""
