"""An ONNX model of others in a process of its own, with limits: what crashes its readers is an error here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.base import external
from edgekit.base.child import Child, ChildError
from edgekit.base.frames import Facts
from edgekit.errors import SourceError

Arrays = dict[str, npt.NDArray[Any]]
# The model is held some times over; activations of two samples come on top.
_LEAST, _PER_BYTE = 4 * 2**30, 16
_LEAST_S, _BYTES_A_SECOND = 60.0, 2**20
_ROOM = 2**20
_LARGEST = 2**33
_HINT = "The file is damaged or made to do this: do not trust where it came from. Export the float model again."


class OnnxProcess:
    """A model that was read and checked elsewhere, and runs there."""

    def __init__(self, path: Path) -> None:
        """Start the process and load the file.

        Raises:
            SourceError: If the file is none, is damaged, keeps tensors elsewhere, or crashes what reads it.
        """
        self._path = path
        try:
            self._size = sum(one.stat().st_size for one in (path, *external.files(path)))
            self._child = Child("edgekit.model.onnxfiles.worker", memory=_LEAST + _PER_BYTE * self._size)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}", hint="Correct model.weights.") from error
        except ChildError as error:
            raise SourceError(f"{path} {error} when it is read.", hint=_HINT) from error
        _, (self.data,) = self._asked({}, [], 2 * self._size + _ROOM)
        """The model with all its tensors, as onnx has written it again."""

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def run(self, feeds: Mapping[str, npt.NDArray[Any]], *, everything: bool = False) -> Arrays:
        """Return what ONNX Runtime computes, by the file's names.

        Args:
            feeds: The inputs.
            everything: Whether to return all values between the nodes, too.

        Raises:
            SourceError: If it fails, crashes, or takes longer or more memory than a file of its size may.
        """
        arrays = {name: np.ascontiguousarray(one) for name, one in feeds.items()}
        kinds: Any = [[name, one.dtype.name, list(one.shape)] for name, one in arrays.items()]
        parts = [one.reshape(-1).view(np.uint8).data for one in arrays.values()]
        facts, found = self._asked({"feeds": kinds, "all": everything}, parts, _LARGEST)
        outputs: Any = facts["outputs"]
        return {
            name: np.frombuffer(part, np.dtype(kind)).reshape(shape)
            for (name, kind, shape), part in zip(outputs, found, strict=True)
        }

    def _asked(self, facts: Facts, parts: list[memoryview], most: int) -> tuple[Facts, list[bytes]]:
        question: Facts = {"file": str(self._path.resolve()), **facts}
        seconds = _LEAST_S + self._size / _BYTES_A_SECOND
        try:
            answer, found = self._child.ask(question, parts, seconds=seconds, most=most)
        except ChildError as error:
            raise SourceError(f"{self._path} {error} when it is read.", hint=_HINT) from error
        if "error" in answer:
            self.close()
            raise SourceError(str(answer["error"]), hint=str(answer["hint"]))
        return answer, found
