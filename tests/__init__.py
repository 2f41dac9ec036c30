"""The tests: fast ones in ``unit``, torch programs in ``programs``, the whole main job in ``e2e``."""
