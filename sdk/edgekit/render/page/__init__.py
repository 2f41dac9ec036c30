"""``report.html`` and the page of a comparison: one file each, with no network, every figure traced to its JSON."""
