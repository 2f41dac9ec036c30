"""Cells on a Ray cluster. Implements `Engine`; the only module that knows Ray.

Retries, time limits and what is stored are the sweep's own affair, so that a cluster behaves as this machine does: Ray
places tasks, keeps their workers warm, and says which ones were lost.
"""

import importlib.util
import logging
import os
import time
from typing import Any

from edgekit.errors import SweepError, ToolchainError
from edgekit.pipeline.sweeping.engine import Ended, environment
from edgekit.pipeline.sweeping.tasks import Outcome, Task

_LOOK_S = 5.0
_AHEAD = 64


def require() -> None:
    """Make sure that Ray is installed.

    Raises:
        ToolchainError: If it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise ToolchainError("Ray is not installed.", hint="pip install 'edgekit[ray]'")


class RayEngine:
    """A cluster: that of an address, that which this machine is part of, or one of this machine alone."""

    def __init__(self, address: str, *, cpus: int = 1) -> None:
        """Connect.

        Args:
            address: ``ray`` for the cluster that this machine is part of, or else a new one; or ``ray://HOST:PORT``.
            cpus: Threads of each cell.

        Raises:
            ToolchainError: If Ray is not installed.
            SweepError: If the cluster does not answer.
        """
        require()
        import ray

        self._ray = ray
        self._environment = {"env_vars": environment(cpus)}
        self._ours = not ray.is_initialized()
        try:
            if self._ours:
                known = address if "://" in address else os.environ.get("RAY_ADDRESS")
                ray.init(
                    address=known,
                    runtime_env=self._environment,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
        except Exception as error:  # its client, its network library and itself raise classes of their own
            told = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise SweepError(f"The cluster {address} does not answer: {told}", hint="`ray status` there.") from error
        # A task that is lost is tried again by the sweep, with a wait in between, on this or another node.
        self._remote = ray.remote(max_retries=0)(perform_text)
        self._cpus = cpus
        self._running: dict[Any, Task] = {}
        self._slots, self._looked = 0, 0.0

    @property
    def text(self) -> str:
        """How many processors and nodes the cluster has."""
        nodes = sum(bool(node["Alive"]) for node in self._ray.nodes())
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        return f"a Ray cluster of {nodes} node{'s' if nodes > 1 else ''} with {cores} processors"

    @property
    def grace(self) -> float:
        """A task may wait for a node to be started, and Ray sees workers and nodes that are gone."""
        return float("inf")

    def has_room(self, task: Task) -> bool:
        """Whether less waits in the cluster than it can do at once: by what waits an autoscaler sees what is wanted."""
        if time.monotonic() - self._looked > _LOOK_S:  # nodes come and go
            self._slots = int(self._ray.cluster_resources().get("CPU", 0)) // self._cpus
            self._looked = time.monotonic()
        return len(self._running) < 2 * self._slots + _AHEAD

    def start(self, task: Task) -> None:
        """Hand a cell to the cluster."""
        options: dict[str, Any] = {
            "name": str(task.name),
            "num_cpus": task.cpus,
            "num_gpus": task.gpus,
            "memory": task.memory,
            "runtime_env": self._environment,
        }
        if task.label is not None:
            options["resources"] = {task.label: 1}
        reference = self._remote.options(**options).remote(task.model_dump_json())
        self._running[reference] = task

    def ended(self, seconds: float) -> list[Ended]:
        """Return the attempts that are over."""
        if not self._running:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        if ready:  # and what else is there by now
            ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [self._heard(reference) for reference in ready]

    def stop(self, task: Task) -> None:
        """Kill the worker that is at a cell."""
        for reference, one in self._running.items():
            if one.key == task.key:
                self._ray.cancel(reference, force=True)

    def close(self) -> None:
        """Let go of the cluster; one that was started here ends."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        if self._ours:
            self._ray.shutdown()

    def _heard(self, reference: Any) -> Ended:
        task = self._running.pop(reference)
        try:
            return Ended(task=task, outcome=Outcome.model_validate_json(self._ray.get(reference)))
        except Exception as error:  # a worker or a node that is gone, memory that is used up, an object that was lost
            lines = (str(error) or type(error).__name__).strip().splitlines()
            return Ended(task=task, outcome=None, reason=f"{type(error).__name__}: {lines[0]}", log="\n".join(lines))


def perform_text(text: str) -> str:
    """Do a cell on a worker of the cluster, from JSON to JSON."""
    from edgekit.pipeline.sweeping.worker import answered

    return str(answered({"task": text})["outcome"])
