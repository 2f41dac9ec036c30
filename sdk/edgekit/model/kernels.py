"""What the names of ONNX Runtime's kernels say of them."""

DATA_MOVEMENT = frozenset({
    "Cast", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
})  # fmt: skip
CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
# These compute with whatever they are given.
ANY_TYPE = DATA_MOVEMENT | {"Clip", "Concat", "MaxPool", "NhwcMaxPool", "Pad", "Relu", "Resize"}
_REORDER = "Reorder"  # of blocks of channels, around float convolutions
# How the names of operators that compute with integers begin; MatMulNBits rounds its activations to 8 bits.
_INTEGER = ("Q", "DynamicQuantize", "MatMulNBits")


def is_integer_kernel(operator: str) -> bool:
    """Whether an operator computes with integers."""
    return operator not in CONVERSIONS and (operator.startswith(_INTEGER) or "Integer" in operator)


def is_float_kernel(operator: str) -> bool:
    """Whether an operator computes with floats, whatever else it could."""
    known = ANY_TYPE | CONVERSIONS
    return operator not in known and not operator.startswith(_REORDER) and not is_integer_kernel(operator)
