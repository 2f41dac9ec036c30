"""Quantization by any scheme: place, calibrate, choose ranges, reconstruct, convert.

The static scheme is that of Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (https://arxiv.org/abs/1712.05877), with weights per channel after Krishnamoorthi
(https://arxiv.org/abs/1806.08342). With the dynamic schemes there are no ranges to calibrate: samples serve the
reconstruction alone.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import assert_never

import torch
from torch import Tensor, fx
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from edgekit.data.samples import Samples
from edgekit.errors import EdgeKitError, QuantizeError
from edgekit.model.capture import capture_again
from edgekit.model.graph import is_quantize, reads_integers
from edgekit.model.pairs import constant_bytes
from edgekit.model.program import Captured, Quantized
from edgekit.model.rounded import module_of
from edgekit.quantization import account, scales, tables
from edgekit.quantization.channels import Kind
from edgekit.quantization.equalize import equalize
from edgekit.quantization.features import scale_features
from edgekit.quantization.folds import halves
from edgekit.quantization.functions import FLOAT_FUNCTIONS, common_function
from edgekit.quantization.heads import split_heads
from edgekit.quantization.norms import replace_norms
from edgekit.quantization.observers import HistogramObserver
from edgekit.quantization.placement import Placement
from edgekit.quantization.portions import portions
from edgekit.quantization.products import write_layers
from edgekit.quantization.reconstruct import reconstruct
from edgekit.quantization.seen import seen_db
from edgekit.quantization.unroundable import NONE, Unroundable, find_unroundable
from edgekit.quantization.uses import separate
from edgekit.spec import CPU_PLACING, DYNAMIC, STATIC_INT8, Placing, QuantSpec, Scheme


def quantize(
    captured: Captured, scheme: Scheme, spec: QuantSpec, calibration: Samples, placing: Placing = CPU_PLACING
) -> Quantized:
    """Quantize a captured program; the program itself is left as it was.

    Args:
        captured: The float program.
        scheme: The scheme.
        spec: The steps to take, and how many samples to calibrate with at once.
        calibration: Samples that are typical of what the model will see.
        placing: What the chip wants rounded.

    Raises:
        QuantizeError: If an operation cannot be quantized, if nothing was quantized, or if the settings name a layer
            that is not there.
    """
    name = captured.source.name
    if scheme is Scheme.FLOAT:
        return Quantized(
            captured=captured,
            scheme=scheme,
            program=captured.program,
            calibration_sha256=calibration.digest,
            weight_bytes=captured.source.float_bytes + constant_bytes(captured.program),
        )
    try:
        prepared, float_layers = prepare(captured, scheme, spec, calibration, placing=placing)
        mend(prepared, captured, scheme, spec, calibration)
        return convert(prepared, captured, scheme, spec, calibration, float_layers)
    except EdgeKitError:
        raise
    except Exception as error:  # the quantizer raises many unrelated classes
        raise QuantizeError(
            f"{name} cannot be quantized: {error}", hint="Run again with --debug to see where."
        ) from error


def convert(
    prepared: fx.GraphModule,
    captured: Captured,
    scheme: Scheme,
    spec: QuantSpec,
    calibration: Samples,
    float_layers: tuple[str, ...],
) -> Quantized:
    """Turn a graph from `prepare`, mended, into the quantized program; the graph is used up.

    Raises:
        QuantizeError: If nothing was quantized.
    """
    name = captured.source.name
    notes = account.notes(scheme, spec, captured, prepared)
    stored = account.weight_bytes(scheme, spec, prepared, captured.source) + constant_bytes(captured.program)
    program = capture_again(convert_pt2e(prepared), captured)
    if not any(is_quantize(node) or reads_integers(node) for node in program.graph.nodes):
        raise QuantizeError(
            f"Nothing in {name} was quantized: it has no {account.wanted(scheme, spec)} layer that the {scheme} scheme "
            "takes.",
            hint="Check that the model file builds the network you mean, or choose another scheme.",
        )
    return Quantized(
        captured=captured,
        scheme=_named(scheme, float_layers),
        program=program,
        calibration_sha256=calibration.digest,
        weight_bytes=stored,
        notes=notes,
        seen_db=seen_db(captured, module_of(program), calibration),
        float_layers=float_layers,
    )


def _named(scheme: Scheme, float_layers: tuple[str, ...]) -> Scheme:
    """Return what came of a scheme, whatever it was asked for as: static int8 is mixed when layers were kept."""
    if scheme in STATIC_INT8:
        return Scheme.INT8_MIXED if float_layers else Scheme.INT8
    return scheme


def prepare(
    captured: Captured,
    scheme: Scheme,
    spec: QuantSpec,
    calibration: Samples,
    unroundable: Unroundable = NONE,
    placing: Placing = CPU_PLACING,
) -> tuple[fx.GraphModule, tuple[str, ...]]:
    """Equalise channels, place observers and calibrate them.

    Args:
        captured: The float program.
        scheme: The scheme.
        spec: The steps to take.
        calibration: Samples that are typical of what the model will see.
        unroundable: The values known to be unfit for rounding.
        placing: What the chip wants rounded.

    Returns:
        A graph with parameters of its own, which computes what the captured program does, and the paths of the layers
        that the settings keep in float.
    """
    # Copied: the module shares its parameters with the captured program, and they are about to change.
    module = copy.deepcopy(captured.program.module(check_guards=False))
    write_layers(module)
    separate(module)
    raw: tuple[str, ...] = ()
    if scheme not in DYNAMIC:
        split_heads(module)
        if scheme in STATIC_INT8 and not placing.everywhere:
            raw = scale_features(module, captured.source, calibration)
    folds = halves(calibration)
    if kinds := _equalized(scheme, spec):
        equalize(module, [batches(captured, spec, fold) for fold in folds], kinds)
    replace_norms(module)
    placement = Placement(scheme, spec, captured.source.name, unroundable, raw, placing)
    prepared = prepare_pt2e(module, placement)
    _calibrate(prepared, [batches(captured, spec, fold) for fold in folds])
    found = unroundable | find_unroundable(prepared, scheme)
    if found != unroundable:  # the log of an empty bin, or a mask of infinities: seldom enough to begin again
        return prepare(captured, scheme, spec, calibration, found, placing)
    scales.fit(prepared)
    tables.fit(prepared)
    return prepared, placement.kept


def mend(prepared: fx.GraphModule, captured: Captured, scheme: Scheme, spec: QuantSpec, calibration: Samples) -> None:
    """Take the steps that change weights and biases, in place: see `reconstruct`."""
    if spec.adaptive_rounding or spec.bias_correction:
        parts = [tensors(captured, part) for part in portions(captured, scheme, calibration)]
        reconstruct(prepared, parts, spec)


def _equalized(scheme: Scheme, spec: QuantSpec) -> frozenset[Kind]:
    """Return whose channels are scaled: it takes from activations of 8 bits what weights of 8 bits have to spare.

    Dynamically quantized are linear layers alone, and it is behind layer norms that these have their outliers.
    """
    match scheme:
        case Scheme.INT8 | Scheme.INT8_MIXED:
            wanted = {Kind.LAYER: spec.equalization, Kind.NORM: spec.smooth_quant}
        case Scheme.INT8_DYNAMIC:
            wanted = {Kind.NORM: spec.smooth_quant}
        case Scheme.W8A16 | Scheme.W4_DYNAMIC | Scheme.FLOAT:
            wanted = {}
        case _:
            assert_never(scheme)
    return frozenset(kind for kind, is_wanted in wanted.items() if is_wanted)


def batches(captured: Captured, spec: QuantSpec, calibration: Samples) -> Iterator[tuple[Tensor, ...]]:
    """Return the calls that calibrate, as arguments of the program."""
    return (tensors(captured, part) for part in _parts(captured, spec, calibration))


def _parts(captured: Captured, spec: QuantSpec, calibration: Samples) -> Iterator[Samples]:
    if captured.any_batch:
        return calibration.batches(min(spec.calibration_batch, captured.rows))
    return calibration.batches(captured.rows, multiple=captured.rows)


def _calibrate(prepared: fx.GraphModule, folds: Iterable[Iterable[tuple[Tensor, ...]]]) -> None:
    readers: dict[HistogramObserver, set[fx.Node]] = {}
    for node in prepared.graph.nodes:
        if node.op == "call_module":
            module = prepared.get_submodule(str(node.target))
            if isinstance(module, HistogramObserver):
                readers.setdefault(module, set()).update(node.users)
    with torch.no_grad():
        for batches in folds:
            for observer in readers:
                observer.begin_fold()
            for batch in batches:
                prepared(*batch)
    for observer, nodes in readers.items():
        observer.after = common_function(nodes, FLOAT_FUNCTIONS)


def tensors(captured: Captured, samples: Samples) -> tuple[Tensor, ...]:
    """Return samples as the arguments of the program."""
    return tuple(torch.from_numpy(samples.array(spec.name)) for spec in captured.source.inputs)
