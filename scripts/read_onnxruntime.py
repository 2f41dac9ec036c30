"""Print what the ONNX Runtime of this environment carries, as JSON. Run by ``make_runtimes.py`` in a fresh environment.

An operator counts at an operator set if there is a kernel for its version there or, where there is none, if ONNX gives
it a body of other operators and the runtime does not refuse it.
"""

import json
import sys
from collections import defaultdict

import onnx
import onnxruntime
from onnx import TensorProto, defs, helper
from onnxruntime.capi import onnxruntime_pybind11_state as native

OPEN = 2147483647
DOMAINS = ("", "com.microsoft")


def main() -> None:
    """Print the whole of it."""
    if set(onnxruntime.get_available_providers()) - {"CPUExecutionProvider", "AzureExecutionProvider"}:
        sys.exit("this build has more than the CPU's kernels")
    newest = max(number for number in range(13, 60) if _opens(opset=number))
    kernels = defaultdict(list)
    for kernel in native.get_all_opkernel_def():
        kernels[kernel.domain, kernel.op_name].append(kernel.version_range)
    schemas = defaultdict(set)
    for schema in native.get_all_operator_schema():
        if not schema.deprecated:
            schemas[schema.domain, schema.name].add(schema.since_version)
    functions = {
        (schema.name, schema.since_version)
        for schema in defs.get_all_schemas_with_history()
        if schema.domain == "" and (schema.has_function or schema.has_context_dependent_function)
    }
    operators = {}
    for (domain, name), versions in sorted(schemas.items()):
        if domain not in DOMAINS:
            continue
        there = {
            since: any(_covers(found, since) for found in kernels[domain, name])
            or (domain == "" and (name, since) in functions and _expands(name, since))
            for since in versions
        }
        last = newest if domain == "" else max(versions)
        ranges = _ranges([there.get(_since(versions, opset), False) for opset in range(1, last + 1)])
        if ranges:
            operators[f"{domain}::{name}" if domain else name] = ranges
    print(  # noqa: T201 - what the other program reads
        json.dumps(
            {
                "opset": newest,
                "ir_version": max(number for number in range(3, 40) if _opens(ir=number)),
                "build": onnxruntime.get_build_info(),
                "operators": operators,
            }
        )
    )


def _since(versions: set[int], opset: int) -> int:
    return max((version for version in versions if version <= opset), default=0)


def _covers(kernel: tuple[int, int], since: int) -> bool:
    """Whether a kernel is for an operator's version; one without an end is for its own version alone."""
    start, end = kernel
    return start == since or (end != OPEN and start <= since <= end)


def _ranges(there: list[bool]) -> list[tuple[int, int]]:
    """Return the runs of true values, counted from one."""
    found: list[tuple[int, int]] = []
    for opset, present in enumerate(there, start=1):
        if present and found and found[-1][1] == opset - 1:
            found[-1] = (found[-1][0], opset)
        elif present:
            found.append((opset, opset))
    return found


def _opens(*, opset: int = 13, ir: int = 8) -> bool:
    node = helper.make_node("Identity", ["x"], ["y"])
    return _load(node, ["x"], opset, ir) is None


def _expands(name: str, opset: int) -> bool:
    schema = defs.get_schema(name, opset, "")
    inputs = [f"x{number}" for number in range(max(schema.min_input, 1))]
    node = helper.make_node(name, inputs, [f"y{number}" for number in range(max(schema.min_output, 1))])
    # Other refusals are of this node, which lacks attributes or has inputs of the wrong type.
    return "NOT_IMPLEMENTED" not in (_load(node, inputs, opset, 8) or "")


def _load(node: onnx.NodeProto, inputs: list[str], opset: int, ir: int) -> str | None:
    """Return why the runtime refuses a model of one node; None if it does not."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in inputs]
    results = [helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = helper.make_graph([node], "one", values, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        return str(error)
    return None


if __name__ == "__main__":
    main()
