"""What everything stands on: values, digests, files, the cache, processes, and facts about this machine."""
