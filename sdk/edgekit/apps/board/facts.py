"""What a board says of itself, read."""

from collections.abc import Mapping, Sequence

from edgekit.bundles.verified import Board
from edgekit.spec import Cpu

_MACHINES = {"aarch64": Cpu.ARM64, "arm64": Cpu.ARM64, "x86_64": Cpu.X86_64, "amd64": Cpu.X86_64}
# ARM's part numbers, from its Linux header cputype.h: the kernel gives no names.
_PARTS = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77",
    "0xd0e": "Cortex-A76AE", "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1", "0xd46": "Cortex-A510", "0xd47": "Cortex-A710", "0xd48": "Cortex-X2", "0xd49": "Neoverse-N2",
    "0xd4b": "Cortex-A78C", "0xd4d": "Cortex-A715", "0xd4e": "Cortex-X3", "0xd4f": "Neoverse-V2",
    "0xd80": "Cortex-A520", "0xd81": "Cortex-A720", "0xd82": "Cortex-X4",
}  # fmt: skip
_ARM = "0x41"
# Instructions that XNNPACK and ONNX Runtime choose kernels by.
_FEATURES = (
    "asimddp", "fphp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "sme", "avx2", "fma", "f16c", "avx512f", "avx512vl",
    "avx512_vnni", "avx_vnni", "amx_int8",
)  # fmt: skip
_LETTERS = 200


def parsed(host: str, lines: Sequence[str]) -> Board:
    """Return the board that these lines describe."""
    named = dict(line.partition("=")[::2] for line in lines if "=" in line.partition(":")[0])
    listed = [(key.strip(), value.strip()) for key, sign, value in (line.partition(":") for line in lines) if sign]
    cores = named.get("cores", "")
    return Board(
        host=host,
        model=named.get("board", "").strip()[:_LETTERS],
        machine=named.get("machine", "")[:_LETTERS],
        cpu_models=_models(listed),
        features=_features(listed),
        cores=int(cores) if cores.isascii() and cores.isdigit() and len(cores) < 6 else 0,
        system=(named.get("os") or named.get("system", ""))[:_LETTERS],
        kernel=named.get("kernel", "")[:_LETTERS],
    )


def cpu(board: Board, bits: str) -> Cpu | None:
    """Return the processor family whose programs run there; None: another one.

    Args:
        board: The board.
        bits: The size of a ``long`` in its programs, as ``getconf LONG_BIT`` gives it; empty: unknown.
    """
    return _MACHINES.get(board.machine.lower()) if bits in ("64", "") else None


def name(board: Board) -> str:
    """Return what a report calls a board: processor, model, and host."""
    processor = " + ".join(board.cpu_models) or board.machine
    return f"{processor}{f' of {board.model}' if board.model else ''} ({board.host})"


def value(lines: Sequence[str], key: str) -> str:
    """Return one of the values that the board has given."""
    found: Mapping[str, str] = dict(line.partition("=")[::2] for line in lines)
    return found.get(key, "").strip()


def _models(listed: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    names = [text for key, text in listed if key == "model name"]
    makers = {text for key, text in listed if key == "CPU implementer"}
    parts = [text for key, text in listed if key == "CPU part"]
    names += [_PARTS.get(part, f"ARM {part}") if makers == {_ARM} else f"part {part}" for part in parts]
    return tuple(one[:_LETTERS] for one in dict.fromkeys(names))


def _features(listed: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    there = {word for key, text in listed if key in ("Features", "flags") for word in text.split()}
    return tuple(word for word in _FEATURES if word in there)
