"""Whether a file would run code when it is loaded: told from the names in its pickle."""

from typing import Any

from edgekit.errors import SourceError
from edgekit.model.weights.objects import STORAGES
from edgekit.model.weights.torchfile import TorchFile
from edgekit.model.weights.values import Global, Unmade

_SHOWN = 8
_MODELS = 3
# What gives a pickle the whole machine; a checkpoint has no use for any of it.
_HARMFUL = frozenset((
    "os", "posix", "nt", "subprocess", "_posixsubprocess", "sys", "importlib", "imp", "runpy", "shutil", "socket",
    "ctypes", "_ctypes", "cffi", "pty", "webbrowser", "code", "codeop", "pdb", "bdb", "cProfile", "profile", "trace",
    "timeit", "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "types", "operator",
    "_operator", "urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "asyncio",
    "multiprocessing", "concurrent", "threading", "_thread", "signal", "pip", "setuptools", "pkg_resources",
    "distutils",
    "site", "inspect", "gc", "atexit", "commands", "pydoc", "doctest", "sqlite3", "shelve", "dbm", "zipimport", "io",
    "_io", "tempfile", "fileinput", "linecache", "platform", "logging", "ensurepip", "venv", "pkgutil", "unittest",
    "pytest", "_pytest", "idlelib", "lib2to3", "test", "?",
))  # fmt: skip
_HARMFUL_PARTS = (
    "torch.hub", "torch.jit", "torch.serialization", "torch.package", "torch.utils.cpp_extension", "torch._dynamo",
    "torch._inductor", "torch.utils.model_zoo", "torch.distributed.rpc", "torch.utils.collect_env", "numpy.testing",
    "numpy.f2py", "numpy.distutils", "numpy.lib.npyio", "torch.load",
    "numpy.load", "numpy.fromfile", "numpy.memmap", "torch.storage._load_from_bytes",
)  # fmt: skip
_BUILTINS = frozenset((
    "set", "frozenset", "list", "tuple", "dict", "int", "float", "str", "bool", "complex", "bytes", "bytearray",
    "slice", "range", "object",
))  # fmt: skip
_PLAIN = frozenset((
    "collections.OrderedDict", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state", "torch._utils._rebuild_qtensor",
    "torch._tensor._rebuild_from_type_v2",
    "torch.Tensor", "torch.nn.parameter.Parameter", "torch.Size", "torch.device", "torch.per_tensor_affine",
    "torch.per_channel_affine", "_codecs.encode", "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer",
    "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath",
))  # fmt: skip
SAVE = "torch.save(model.state_dict(), PATH)"


def is_plain(one: Global) -> bool:
    """Whether EdgeKit knows what a name stands for, and makes that itself."""
    if one.module in ("builtins", "__builtin__"):
        return one.name in _BUILTINS
    dtype = one.module == "torch" and (one.name in STORAGES or one.name.islower())
    return dtype or str(one) in _PLAIN or (one.module == "torch.storage" and one.name in STORAGES)


def is_harmful(one: Global) -> bool:
    """Whether what is named can run anything."""
    if one.module in ("builtins", "__builtin__"):
        return one.name not in _BUILTINS
    dotted = f"{one.module}.{one.name}"
    if dotted == "types.SimpleNamespace":
        return False
    return one.module.partition(".")[0] in _HARMFUL or dotted.startswith(_HARMFUL_PARTS)


def refuse(file: TorchFile) -> None:
    """Refuse a file that would run code.

    Raises:
        SourceError: If it is a whole model, or calls what no weights call. It says what, and none of it was run.
    """
    if harmful := [one for one in file.globals if is_harmful(one)]:
        raise SourceError(
            f"{file.path} is no mere weights: loading it would call {listed(harmful)}. Nothing of it was run.",
            hint=f"Weights come from {SAVE}. If you trust who made the file, `edgekit build --trust-pickle` takes the "
            "weights out of it in a process without network.",
        )
    if (place := whole_model(file.value)) is not None:
        where = f"{file.path} holds a whole pickled model" + (f" as {place}" if place else "")
        raise SourceError(
            f"{where}, which runs code when it is loaded: it names {listed(file.globals)}. Nothing of it was run.",
            hint=f"Save its weights alone, {SAVE}, and let model.source make the model; or, if you trust who made the "
            "file, `edgekit build --trust-pickle` takes the weights out of it in a process without network.",
        )


def whole_model(value: Any) -> str | None:
    """Return where in a file a whole module lies, ``""`` where the file is one; None: there is none, or weights too."""
    if is_module(value):
        return ""
    if not isinstance(value, dict):
        return None
    models = [str(key) for key, one in value.items() if is_module(one)]
    plain = any(
        isinstance(one, dict) and one and key in ("state_dict", "model_state_dict") for key, one in value.items()
    )
    return None if plain or not models else ", ".join(models[:_MODELS])


def is_module(value: Any) -> bool:
    """Whether an object that was not made would be a module of torch."""
    return isinstance(value, Unmade) and {"_modules", "_parameters"} <= value.mapping.keys()


def listed(names: Any) -> str:
    """Return names of a pickle as text, those first that are no part of torch's own weights."""
    texts = dict.fromkeys(str(one) for one in sorted(names, key=is_plain))
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(list(texts)[:_SHOWN]) + more
