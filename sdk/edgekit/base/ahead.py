"""Do work ahead of who needs its results: a few threads, and never more results than they."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_MOST = 4


def ahead(work: Callable[[_T], _R], items: Iterable[_T]) -> Generator[_R]:
    """Yield the results of some work in order of its items; the first failure is raised in its place.

    Args:
        work: What threads may do at the same time.
        items: What to do it to.
    """
    threads = min(_MOST, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="edgekit-ahead")
    waiting: deque[Future[_R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
