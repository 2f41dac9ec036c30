"""The first operation at which an .onnx departs from the program whose values between operations are floats.

Of such a file no rounding tells one value from the other: each is paired with the program's node that computes the
same, see ``pairing``, and all of them are outputs of a copy of the file.
"""

import onnx
from torch import fx

from edgekit.data.samples import Samples
from edgekit.model import graph
from edgekit.model.program import Quantized
from edgekit.pipeline.bisecting.cutting import KEPT, Look, few_of
from edgekit.pipeline.bisecting.narrow import Narrowed, told
from edgekit.pipeline.bisecting.pairing import Offered, counterparts, exact, paired, places
from edgekit.pipeline.bisecting.segments import File, since
from edgekit.pipeline.profiling.observing import compare
from edgekit.pipeline.profiling.places import FLOAT_DB
from edgekit.pipeline.profiling.tapped import Opener, here, tapped
from edgekit.spec import Cpu

# The tokens of a sample have ranges of their own in the program and share one in the file: 45 dB and more apart.
_ONE_RANGE_DB = 30.0
_ROUNDING = {"DequantizeLinear", "DynamicQuantizeLinear"}


def narrow_floats(
    name: str,
    data: bytes,
    own: bytes,
    cpu: Cpu,
    quantized: Quantized,
    samples: Samples,
    *,
    opener: Opener | None = None,
    single: bool = False,
) -> Narrowed:
    """Find the first operation of an .onnx that departs from the program.

    Args:
        name: The file's name, for messages.
        data: Its bytes.
        own: The file that was lowered from the program.
        cpu: The processor family whose arithmetic the kernels follow.
        quantized: The program.
        samples: What to feed both.
        opener: Loads copies of the file with more outputs; into this process unless given.
        single: Whether samples of a batch share a range: then each is run by itself.

    Raises:
        RunError: If ONNX Runtime cannot run a copy of the file with more outputs.
    """
    source, mine, file = quantized.captured.source, File.read(own), File.read(data)
    kept = 1 if single else KEPT
    offered = _floats(mine)
    run = tapped(name, mine.model, list(offered), here(cpu, source), source)
    least = _of_one_range if single else exact
    pairs = paired(list(offered.values()), run, quantized, few_of(samples, source.batch, kept), least)
    theirs = _floats(file)
    alike = counterparts(offered, theirs, _kinds(mine), _kinds(file))
    module = quantized.program.module(check_guards=False)
    at = places(pairs, alike, module.graph, least)
    run = tapped(name, file.model, [place.output for place in at], opener or here(cpu, source), source)
    missing = len(pairs) - len(at)
    note = f"Seen at {len(at)} values between operations and at the outputs, on {len(samples)} samples."
    note += f" {missing} more have no counterpart in the file." if missing else ""
    observed = compare(module, at, run, quantized, samples, note, rows=1 if single else None)
    look = Look(
        name=name, data=data, cpu=cpu, quantized=quantized, samples=samples, file=file, opener=opener, kept=kept
    )
    if (seen := observed.first) is None:
        return Narrowed(parting=None, cut=None, look=look, note=note)
    end = seen.node if seen.place is None else seen.place.node
    ours = since(end, {place.node.name for place in at})
    right = [one for one in observed.seen if one.place is not None and one is not seen]
    return told(look, observed, seen, ours, right)


def _of_one_range(node: fx.Node) -> float:
    return _ONE_RANGE_DB if graph.operation(node) == "linear" else FLOAT_DB


def _floats(file: File) -> dict[str, Offered]:
    """Return the float values that a file computes, by name, in the order of running, but for its outputs."""
    known = onnx.shape_inference.infer_shapes(file.model).graph.value_info
    floats = {one.name for one in known if one.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    given = {one.name for one in file.model.graph.output} | file.constants
    for node in file.model.graph.node:
        if node.op_type == "Add" and node.input[1] in file.constants:
            given.add(node.input[0])  # without its bias it is no value of the program
    made = [node.output[0] for node in file.model.graph.node if node.op_type not in _ROUNDING]
    return {name: Offered(name=name) for name in made if name in floats and name not in given}


def _kinds(file: File) -> dict[str, str]:
    return {name: node.op_type for name, node in file.made.items()}
