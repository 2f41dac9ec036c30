"""Where a native folder runs: this machine, an emulator on it, or whatever else can hold one."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from edgekit.apps.native.folder import Assembled
from edgekit.apps.native.launch import Done, Program, failure, launch
from edgekit.data.rows import Array
from edgekit.errors import RunError


class Runner(Protocol):
    """A native folder that lies where its program can be started."""

    def selftest(self, *, seconds: float) -> Done:
        """Compute the golden vectors; its exit code is not judged here.

        Raises:
            RunError: If it does not start or end.
        """

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str], *, seconds: float) -> dict[str, Array]:
        """Compute samples.

        Args:
            inputs: Arrays of shape (samples, ...), by name.
            outputs: The outputs' names.
            seconds: How long it may take.

        Returns:
            The outputs by name, of shape (samples, ...).

        Raises:
            EdgeKitError: Of the class that the program's exit code stands for.
        """


class Machine(Protocol):
    """Something that executes native folders."""

    @property
    def model(self) -> str:
        """The model of processor; empty: this machine's own."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    def holding(self, made: Assembled, room: int) -> AbstractContextManager[Runner]:
        """Put a native folder there, for as long as it is needed.

        Args:
            made: The folder.
            room: Bytes that inputs and outputs take beside it.
        """


@dataclass(frozen=True, kw_only=True)
class Here:
    """This machine, or a model of processor under an emulator."""

    model: str
    name: str
    under: tuple[str, ...] = ()

    @contextmanager
    def holding(self, made: Assembled, room: int) -> Iterator[Runner]:
        """Write the folder among the temporary files."""
        with tempfile.TemporaryDirectory() as scratch:
            yield _Local(replace(made.write(Path(scratch) / "native"), under=self.under), self.name)


@dataclass(frozen=True)
class _Local:
    program: Program
    name: str

    def selftest(self, *, seconds: float) -> Done:
        return launch(self.program, ["selftest"], seconds=seconds)

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str], *, seconds: float) -> dict[str, Array]:
        with tempfile.TemporaryDirectory() as scratch:
            files = {name: str(Path(scratch) / f"{number}.npy") for number, name in enumerate(inputs)}
            for name, file in files.items():
                np.save(file, inputs[name])
            done = launch(self.program, predicting(files, scratch), seconds=seconds)
            if done.code != 0:
                raise failure(done, f"The native program fails on {self.name}")
            return {name: checked(np.load(Path(scratch) / f"{name}.npy"), name, inputs) for name in outputs}


def predicting(files: Mapping[str, str], output: str) -> list[str]:
    """Return the program's arguments: the file of each input, by name, and the folder for outputs."""
    named = [word for name, file in files.items() for word in ("--input", f"{name}={file}")]
    return ["predict", *named, "--output", output, "--top", "1", "--json"]


def checked(values: Array, name: str, inputs: Mapping[str, Array]) -> Array:
    """Return an output that has a row for each sample.

    Raises:
        RunError: If it has not.
    """
    count = len(next(iter(inputs.values())))
    if values.ndim == 0 or len(values) != count:
        raise RunError(
            f"The output {name} has shape {values.shape} for {count} samples.", hint="Build the bundle again."
        )
    return values
