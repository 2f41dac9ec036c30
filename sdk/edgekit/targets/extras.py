"""Which extra of EdgeKit's a chip needs, as one table: pyproject.toml, ``doctor`` and the docs are held against it."""

from dataclasses import dataclass

from edgekit.base import requirements
from edgekit.base.versions import installed
from edgekit.errors import ToolchainError
from edgekit.spec import Target


@dataclass(frozen=True, kw_only=True)
class Extra:
    """Packages that are installed together for a chip."""

    name: str
    """What stands in ``pip install edgekit[NAME]``."""
    chip: str
    """The chip."""
    packages: tuple[str, ...]
    """Requirements, as pip reads them."""
    lowers: bool
    """Whether files are made with it; otherwise it runs them here, and they are made without it."""
    licence: str = ""
    """Terms that bind whoever installs it, beside those of open source."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The requirements that are not installed, or not in a version that is allowed."""
        found = []
        for wanted in requirements.parse(list(self.packages)):
            version = installed(wanted.name).get(wanted.name)
            if version is None or requirements.satisfies(version, wanted.allowed) is False:
                found.append(f"{wanted.name}{wanted.allowed}")
        return tuple(found)

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install 'edgekit[{self.name}]'"

    @property
    def why(self) -> str:
        """What to tell a person where it is missing."""
        return f"{', '.join(self.missing)} is not installed: {self.command}"


EXTRAS = (
    Extra(
        name="qnn",
        chip="hexagon",
        packages=("onnxruntime-qnn>=2.7,<2.8",),
        lowers=False,
        licence="Qualcomm's, for the libraries of its AI Engine Direct SDK",
    ),
    Extra(
        name="coreai",
        chip="coreai",
        # A beta: these were tried together. The last one is imported, and not named by them.
        packages=("coreai-core==1.0.0b2", "coreai-torch==0.4.2", "psutil>=6"),
        lowers=True,
    ),
    Extra(
        name="coreml",
        chip="coreml",
        packages=("coremltools>=9,<10",),
        lowers=True,
    ),
    Extra(
        name="openvino",
        chip="openvino",
        packages=("openvino>=2026.4,<2027",),
        lowers=False,
    ),
    # tosa-tools asks for exact versions, so that pip takes onnx 1.21 and numpy 2.1 with it.
    Extra(name="ethos-u", chip="ethos-u", packages=("ethos-u-vela==5.1.0", "tosa-tools==2026.5.0"), lowers=True),
    Extra(name="vgf", chip="vgf", packages=("ai-ml-sdk-model-converter==0.11.0", "tosa-tools==2026.5.0"), lowers=True),
    # ExecuTorch's passes for Cortex-M import those for TOSA.
    Extra(name="cortex-m", chip="cortex-m", packages=("tosa-tools==2026.5.0",), lowers=True),
)


def of_chip(chip: str) -> Extra | None:
    """Return the extra of a chip; None: it needs none."""
    return next((extra for extra in EXTRAS if extra.chip == chip), None)


def check(target: Target) -> None:
    """Make sure that what makes the files of a target is installed, before the work that leads up to it.

    Raises:
        ToolchainError: If a package is missing, with the command that installs it.
    """
    extra = of_chip(target.chip.name)
    if extra is not None and extra.lowers and (missing := extra.missing):
        raise ToolchainError(f"{target.name} needs {', '.join(missing)}, not installed here.", hint=extra.command)
