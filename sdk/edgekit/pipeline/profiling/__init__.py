"""Profiling: measures what ``edgekit.bundles.profile`` holds. One module for each part."""
