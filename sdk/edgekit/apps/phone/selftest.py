"""``selftest.json``: what the self-test of a demo app wrote on a device. The app writes it, EdgeKit reads it."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from edgekit.errors import BundleError

SELFTEST_VERSION: Literal[1] = 1
SELFTEST_FILE = "selftest.json"

_HINT = "Build and install the demo app of this EdgeKit's version, and run the self-test again."


class _Written(BaseModel):
    """Base of what an app writes: keys that this version does not know are left aside."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Device(_Written):
    """The device that ran the self-test."""

    name: str
    """Maker and model."""
    soc: str
    """The system on chip."""
    os: str
    """Operating system and version."""
    cpu: str
    """CPU family."""


class TestedModel(_Written):
    """The model of the bundle in the app."""

    name: str
    """Its name."""
    weights_sha256: str
    """Digest of the float weights."""


class TestedLimit(_Written):
    """One limit, as the app judged it."""

    limit: str
    """Its name in the budget."""
    metric: str
    """The metric that it is for."""
    value: float | None
    """What the app measured; null: infinite, or not measured."""
    bound: float
    """What the budget allows."""
    result: Literal["kept", "broken", "not_judged"]
    """Its result."""


class TestedLeg(_Written):
    """One leg of one output, as the app measured it."""

    leg: Literal["device", "total"]
    """The leg."""
    output: str
    """The output."""
    metrics: dict[str, float | None]
    """By the names of `Metrics`; null where one does not apply or is infinite."""
    worst_share_of_tolerance: float | None
    """The largest error as a share of what its golden vector allows; null: infinite."""
    within_tolerance: bool
    """Whether every element is within the tolerance of its golden vector."""
    limits: tuple[TestedLimit, ...]
    """The limits."""


class FellBack(_Written):
    """A bundle for the phone's chip that was not taken."""

    target: str
    """Its target."""
    chip: str
    """The chip that it is for."""
    reason: str
    """Why another one was taken."""


class Tested(_Written):
    """One artifact."""

    file: str
    """Its file."""
    sha256: str
    """Its digest."""
    runtime: str | None = None
    """The runtime and its version; null: the app has none for it."""
    threads: int | None = None
    """Threads of the runtime."""
    provider: str | None = None
    """The backend or execution provider that computed, as the runtime names it."""
    elsewhere: tuple[str, ...] = ()
    """Nodes that another provider ran, each with its operator, as far as the runtime tells."""
    status: Literal["passed", "failed", "skipped"]
    """Its result; ``skipped``: the app has no runtime for it."""
    reason: str | None = None
    """Why it did not pass."""
    failure: str | None = None
    """The code of what went wrong, if it could not be run; also of what was skipped."""
    load_ms: float | None = None
    """Time to load it, in milliseconds."""
    first_ms: float | None = None
    """The first inference."""
    median_ms: float | None = None
    """Later ones: 50th percentile."""
    p90_ms: float | None = None
    """90th percentile."""
    p95_ms: float | None = None
    """95th percentile."""
    p99_ms: float | None = None
    """99th percentile."""
    runs: int | None = None
    """Timed runs."""
    legs: tuple[TestedLeg, ...] = ()
    """The legs, as the app measured them."""


class SelfTest(_Written):
    """The result of a self-test."""

    version: Literal[1]
    """Version of this format."""
    app: dict[str, JsonValue]
    """The app and its version."""
    device: Device
    """The device."""
    model: TestedModel | None = None
    """The model of the bundle; null if none could be read."""
    target: str | None = None
    """The target of the bundle."""
    chip: str | None = None
    """The chip that the bundle is for; null: nobody said."""
    fell_back: tuple[FellBack, ...] = ()
    """Better bundles for this phone that could not be taken."""
    verdict: Literal["passed", "failed"]
    """Whether every artifact passed that could be run, and one could."""
    artifacts: tuple[Tested, ...]
    """The artifacts; none after a failure before the first."""
    reason: str | None = None
    """Why nothing was run."""
    failure: str | None = None
    """The code of what went wrong before any artifact."""


def parse(text: str, *, where: str) -> SelfTest:
    """Read the text of a ``selftest.json``.

    Raises:
        BundleError: If it is none, or an app of another version wrote it.
    """
    try:
        version = json.loads(text).get("version")
    except (ValueError, AttributeError) as error:
        raise BundleError(f"{where} is not the result of a self-test: {error}", hint=_HINT) from error
    if version != SELFTEST_VERSION:
        raise BundleError(
            f"{where} was written by an app of another version: format {version}, where this EdgeKit reads "
            f"{SELFTEST_VERSION}.",
            hint=_HINT,
        )
    try:
        return SelfTest.model_validate_json(text)
    except ValidationError as error:
        faults = "".join(f"\n  - {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise BundleError(f"{where} is not what an app of this version writes:{faults}", hint=_HINT) from error
