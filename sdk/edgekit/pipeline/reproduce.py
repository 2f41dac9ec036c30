"""Scripts that fail as a stage of a build did, from what was kept of its input. Each is short."""

from typing import assert_never

from edgekit.base.text import line
from edgekit.spec import Format

SCRIPT = "reproduce.py"

CAPTURE = """\
# input.pt is a pickle: the code that defines the model must be on the path.
from pathlib import Path

import torch

from edgekit.model.capture import capture

capture(*torch.load(Path(__file__).parent / "input.pt", weights_only=False))
"""

FLOAT_ONNX = """\
from pathlib import Path

from edgekit.lowering import export_float
from edgekit.model.store import load_captured

export_float(load_captured(Path(__file__).parent), cache=None)
"""

QUANTIZE = """\
from pathlib import Path

import numpy as np

from edgekit.data.samples import Samples
from edgekit.model.store import load_captured
from edgekit.quantization import quantize
from edgekit.spec import Placing, QuantSpec, Scheme

here = Path(__file__).parent
spec = QuantSpec.model_validate_json((here / "quantize.json").read_text())
placing = Placing.model_validate_json((here / "placing.json").read_text())
samples = Samples(inputs=dict(np.load(here / "calibration.npz")))
quantize(load_captured(here), Scheme("SCHEME"), spec, samples, placing)
"""

LOWER = """\
from pathlib import Path

from edgekit import chips
from edgekit.model.store import load_quantized
from edgekit.spec import Format, Target

here = Path(__file__).parent
target = Target.model_validate_json((here / "target.json").read_text())
chips.of_target(target).lower(Format("FORMAT"), target, load_quantized(here, "quantized"), None)
"""

_RUN_PTE = """\
# Needs ExecuTorch alone: a sample gets the same answer in every batch.
from pathlib import Path

import numpy as np
import torch
from executorch.runtime import Runtime

here = Path(__file__).parent
method = Runtime.get().load_program(str(here / "model.pte")).load_method("forward")
inputs = list(np.load(here / "inputs.npz").values())
first = None
for batch in BATCHES:
    tensors = [torch.from_numpy(np.resize(array, (batch, *array.shape[1:]))) for array in inputs]
    answer = [output[0].numpy().astype(float) for output in method.execute(tensors)]
    first = first or answer
    for one, other in zip(first, answer, strict=True):
        error = np.square(one - other).sum()
        assert error <= np.square(one).sum() / 1000, f"batch {batch} gives another answer"
"""

_RUN_ONNX = """\
# Needs ONNX Runtime alone: a sample gets the same answer in every batch.
from pathlib import Path

import numpy as np
import onnxruntime

here = Path(__file__).parent
session = onnxruntime.InferenceSession(here / "model.onnx", providers=["CPUExecutionProvider"])
inputs = np.load(here / "inputs.npz")
first = None
for batch in BATCHES:
    arrays = {name: np.resize(inputs[name], (batch, *inputs[name].shape[1:])) for name in inputs.files}
    answer = [output[0].astype(float) for output in session.run(None, arrays)]
    first = first or answer
    for one, other in zip(first, answer, strict=True):
        error = np.square(one - other).sum()
        assert error <= np.square(one).sum() / 1000, f"batch {batch} gives another answer"
"""


_RUN_AIMODEL = """\
# Needs coreai-core alone: every call takes one sample.
import asyncio
import zipfile
from pathlib import Path

import numpy as np
from coreai.authoring import AIModelAsset
from coreai.runtime import NDArray

here = Path(__file__).parent
zipfile.ZipFile(here / "model.aimodel.zip").extractall(here)


async def main():
    inputs = np.load(here / "inputs.npz")
    async with AIModelAsset.load(here / "model.aimodel").executable() as model:
        await model.load_function("main")({name: NDArray(inputs[name][:1]) for name in inputs.files})


asyncio.run(main())
"""


def text_of(script: str, error: str, *, opening: str = "Fails as the build did") -> str:
    """Return a script with the first line of an error as its docstring, whatever stands in it."""
    summary = line(error.strip().partition("\n")[0]).replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{opening}: {summary}"""\n\n{script}'


def run_of(format: Format, sizes: tuple[int, ...]) -> str:
    """Return the script that runs an artifact of a format in its runtime, at these batch sizes."""
    match format:
        case Format.PTE:
            return _RUN_PTE.replace("BATCHES", str(sizes))
        case Format.ONNX:
            return _RUN_ONNX.replace("BATCHES", str(sizes))
        case Format.AIMODEL:
            return _RUN_AIMODEL
        case _:
            assert_never(format)
