"""The benchmark: the same networks and samples through EdgeKit and through what a user would pick instead.

Read in this order: `networks`, `routes/route.py`, `worker.py` (builds one route, in a process of its own), `measure.py`
(measures any artifact the same way), `targets.py` and `page.py` (what is said of it).
"""
