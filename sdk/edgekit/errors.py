"""Everything that EdgeKit raises on purpose.

Each class has an exit code of its own and each instance a hint that says the way out::

    EdgeKitError                 1   (never raised itself)
    +-- ProjectError             3   edgekit.toml, or what it names, is wrong
    +-- TargetError              4   no such target, or its profile is wrong
    +-- SourceError              5   the model cannot be loaded or run
    +-- DataError                6   calibration, evaluation or picture data does not fit the model
    +-- CaptureError             7   torch.export cannot capture the model
    +-- QuantizeError            8   quantization failed, or quantized nothing
    +-- LowerError               9   lowering failed, delegated nothing, or wrote a wrong graph
    +-- RunError                10   an artifact is damaged, or cannot be loaded or run
    +-- BundleError             11   a bundle or trace is damaged or of another version, or a file is missing
    +-- ToolchainError         12   a library or tool is missing or does not fit
    +-- CacheError             13   the cache is set up wrongly, or cannot be cleared
    +-- AppError               14   an app's project is not one, cannot be written, or lacks a place for bundles
    +-- CompatibilityError     15   an artifact needs what the app's runtime does not carry
    +-- UnreachableError        16   a device does not answer
    +-- HostKeyError            17   a device's host key is unknown, or another one than before
    +-- AuthenticationError     18   a device does not let this user in
    +-- DeviceSpaceError        19   a device has no folder with enough space, or none that programs may run in
    +-- ConnectionLostError     21   a device does not answer any more
    +-- OverBudgetError         20   everything worked, but the drift or the size is over its budget
    +-- StoreError              22   a store cannot be read or written, or is damaged
    +-- SweepError              23   cells of a sweep failed, or its engine cannot run

Exit code 2 is a usage error (click), 1 an error nobody foresaw, 130 an interrupt.
"""

from typing import ClassVar


class EdgeKitError(Exception):
    """An error a person can act on: ``message`` names the place and the reason, ``hint`` the way out."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ProjectError(EdgeKitError):
    """The project file, or something that it names, is wrong. All faults are reported together."""

    exit_code = 3


class TargetError(EdgeKitError):
    """There is no such target, or its profile is wrong."""

    exit_code = 4


class SourceError(EdgeKitError):
    """The model cannot be loaded, given its weights, or run."""

    exit_code = 5


class DataError(EdgeKitError):
    """Calibration, evaluation or picture data is unreadable or does not fit the model's inputs."""

    exit_code = 6


class CaptureError(EdgeKitError):
    """``torch.export`` cannot capture the model."""

    exit_code = 7


class QuantizeError(EdgeKitError):
    """Quantization failed, or nothing was quantized."""

    exit_code = 8


class LowerError(EdgeKitError):
    """Lowering failed, nothing was delegated, or the written graph computes something else."""

    exit_code = 9


class RunError(EdgeKitError):
    """An artifact is damaged, or cannot be loaded or run."""

    exit_code = 10


class BundleError(EdgeKitError):
    """A bundle or a trace is damaged or written by another version, or a file of it, or an artifact, is missing."""

    exit_code = 11


class ToolchainError(EdgeKitError):
    """A library or tool is missing, or its version does not fit the others."""

    exit_code = 12


class CacheError(EdgeKitError):
    """The cache is set up wrongly, or cannot be cleared. A cache that cannot be written is no error."""

    exit_code = 13


class AppError(EdgeKitError):
    """An app's project cannot take a bundle: it is none, lacks the place for one, or cannot be written."""

    exit_code = 14


class CompatibilityError(EdgeKitError):
    """An artifact needs an operator or a backend that the runtime does not carry which the app pins."""

    exit_code = 15


class UnreachableError(EdgeKitError):
    """A device does not answer: there is no such host, nothing listens there, or no network leads to it."""

    exit_code = 16


class HostKeyError(EdgeKitError):
    """A device's host key is unknown here, or another one than before."""

    exit_code = 17


class AuthenticationError(EdgeKitError):
    """A device does not let this user in, or gives no shell."""

    exit_code = 18


class DeviceSpaceError(EdgeKitError):
    """A device has no folder with enough space, or none that programs may run in."""

    exit_code = 19


class ConnectionLostError(EdgeKitError):
    """A device answered, and does not any more."""

    exit_code = 21


class OverBudgetError(EdgeKitError):
    """Everything worked, but the drift or the size is over its budget. The bundle is written, marked as failed."""

    exit_code = 20


class StoreError(EdgeKitError):
    """A store of a sweep's results cannot be read or written, or what lies in it is damaged."""

    exit_code = 22


class SweepError(EdgeKitError):
    """Cells of a sweep failed, or what runs them cannot be started. What was built is in the store."""

    exit_code = 23
