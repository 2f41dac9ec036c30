"""The operators that a .pte for Arm's microcontrollers calls: torch knows them once their package is loaded."""


def register() -> None:
    """Make torch know them; needs the packages of the extra ``cortex-m``."""
    import executorch.backends.cortex_m.passes  # their own module imports in a circle
    import executorch.kernels.quantized  # noqa: F401
