"""What all tests share: a cache of their own, and no terminal."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither read nor fill the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("EDGEKIT_CACHE_SIZE", raising=False)
        # Processes that share the tests are given a width, and a person may have one: what is printed here is a log.
        patch.delenv("COLUMNS", raising=False)
        patch.delenv("LINES", raising=False)
        yield
