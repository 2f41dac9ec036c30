"""What stands beside the weights in a checkpoint: names of classes, mean and std, configuration, accuracy."""

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.model.weights.objects import SCALARS, array_of
from edgekit.model.weights.torchfile import TorchFile, content
from edgekit.model.weights.values import StoredTensor, Unmade

_LABELS = ("classes", "class_names", "labels", "idx_to_class", "class_to_idx", "names", "id2label", "label2id",
           "categories", "idx2label", "label_names", "classnames", "index_to_class", "class_labels")  # fmt: skip
_CONFIGURATION = ("hyper_parameters", "hparams", "config", "cfg", "args", "model_args", "model_kwargs", "kwargs",
                  "arch_kwargs", "model_config", "init_args", "arguments", "params", "arch")  # fmt: skip
_MEAN = ("mean", "image_mean", "pixel_mean", "normalize_mean", "norm_mean", "means")
_STD = ("std", "image_std", "pixel_std", "normalize_std", "norm_std", "stds")
_METRICS = ("acc", "top1", "top5", "f1", "map", "iou", "auc", "best_prec", "precision", "recall", "dice", "psnr")
_TABLES = ("normalization", "normalize", "norm", "preprocessing", "preprocess", "transform", "transforms", "meta",
           "metadata", "info", "metrics", "best_metrics", "extra", "data", "default_cfg", "pretrained_cfg")  # fmt: skip
_MOST_LABELS = 100_000
_MOST_CHANNELS = 512
_LETTERS = {"float64": "d", "float32": "f", "float16": "e", "int64": "q", "int32": "i", "uint8": "B"}


def of_tree(tree: Any, file: TorchFile) -> dict[str, Any]:
    """Return the fields of a `Checkpoint` that stand beside its weights."""
    tables = list(_tables(tree))
    return {
        "arguments": _arguments(tree),
        "labels": next((found for _, table in tables for key in _LABELS if (found := _labels(table.get(key)))), ()),
        "mean": _first(tables, _MEAN, file),
        "std": _first(tables, _STD, file),
        "metrics": _metrics(tables, file),
    }


def _tables(tree: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield the table itself and those in it that may describe a model, two levels down."""
    waiting = [("", tree, 0)]
    while waiting:
        name, value, depth = waiting.pop(0)
        table = value.mapping if isinstance(value, Unmade) else value
        if not isinstance(table, dict):
            continue
        yield name, table
        if depth < 2:
            waiting += [(key, table[key], depth + 1) for key in (*_CONFIGURATION, *_TABLES) if key in table]


def _arguments(tree: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, table in _tables(tree):
        if name in _CONFIGURATION:
            found = {**_plain(table), **found}
    return found


def _plain(table: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the entries that can stand in a project file: numbers, texts, and lists of them."""
    found = {}
    for key, value in table.items():
        items = list(value) if isinstance(value, list | tuple) else [value]
        usable = all(
            isinstance(item, bool | str) or (isinstance(item, int | float) and math.isfinite(item)) for item in items
        )
        if isinstance(key, str) and key.isidentifier() and usable and len(items) <= _MOST_CHANNELS:
            found[key] = items if isinstance(value, list | tuple) else value
    return found


def _labels(value: Any) -> tuple[str, ...]:
    """Return names of classes in the order of their numbers; empty if it is something else."""
    value = value.mapping if isinstance(value, Unmade) else value
    if isinstance(value, dict) and 1 < len(value) <= _MOST_LABELS:
        pairs = list(value.items())
        if all(isinstance(one, int) for _, one in pairs):
            pairs = [(one, key) for key, one in pairs]
        numbers = {int(key): one for key, one in pairs if isinstance(key, int) or str(key).isdecimal()}
        value = (
            [numbers[index] for index in range(len(pairs)) if index in numbers] if len(numbers) == len(pairs) else ()
        )
    if not isinstance(value, list | tuple) or not 1 < len(value) <= _MOST_LABELS:
        return ()
    texts = tuple(one.strip() for one in value if isinstance(one, str) and one.strip())
    return texts if len(texts) == len(value) == len(set(texts)) else ()


def _first(tables: list[tuple[str, dict[Any, Any]]], keys: tuple[str, ...], file: TorchFile) -> tuple[float, ...]:
    return next((found for _, table in tables for key in keys if (found := _numbers(table.get(key), file))), ())


def _metrics(tables: list[tuple[str, dict[Any, Any]]], file: TorchFile) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, table in tables:
        for key, value in table.items():
            if isinstance(key, str) and any(word in key.lower() for word in _METRICS) and name not in _CONFIGURATION:
                numbers = _numbers(value, file)
                if len(numbers) == 1:
                    found.setdefault(key, numbers[0])
    return found


def _numbers(value: Any, file: TorchFile) -> tuple[float, ...]:
    """Return a few numbers, of a number, a list, an array or a tensor; empty if it is something else."""
    if isinstance(value, StoredTensor):
        value = _of_tensor(value, file)
    elif (array := array_of(value)) is not None:
        letter = SCALARS.get(array.dtype.lstrip("<=|"), "")
        count = len(array.data) // struct.calcsize(letter) if letter else 0
        value = struct.unpack(f"<{count}{letter}", array.data) if 0 < count <= _MOST_CHANNELS and not (
            len(array.data) % struct.calcsize(letter)) else ()  # fmt: skip
    items = value if isinstance(value, list | tuple) else (value,)
    plain = [item for item in items if isinstance(item, int | float) and not isinstance(item, bool)]
    if not 0 < len(items) <= _MOST_CHANNELS or len(plain) != len(items):
        return ()
    numbers = tuple(float(item) for item in plain if abs(item) < 10**300)
    return numbers if len(numbers) == len(items) and all(map(math.isfinite, numbers)) else ()


def _of_tensor(stored: StoredTensor, file: TorchFile) -> tuple[float, ...]:
    """Return the numbers of a small tensor that lies plainly in its storage."""
    letter, count = _LETTERS.get(stored.dtype), math.prod(stored.shape)
    # (3, 1, 1) is how a mean is laid out that is subtracted from pictures.
    if letter is None or not 0 < count <= _MOST_CHANNELS or max(stored.shape, default=1) != count:
        return ()
    if any(step != 1 for size, step in zip(stored.shape, stored.stride, strict=True) if size == count > 1):
        return ()
    place = file.places[stored.storage.key]
    if place.size > 2**20:
        return ()
    with file.path.open("rb") as opened:
        data = content(opened, place)
    width = struct.calcsize(letter)
    part = data[stored.offset * width : (stored.offset + count) * width]
    return struct.unpack(f"<{count}{letter}", part) if len(part) == count * width else ()
