"""What a file is, told by its first bytes and the names inside it: without torch, and without reading it whole."""

from enum import StrEnum


class FileKind(StrEnum):
    """What people have where a model is asked for; the value is for programs, `words` and `hint` are for people."""

    TORCH = "torch"
    """A zip of ``torch.save``: a state dict, a training checkpoint or a whole model."""
    TORCH_LEGACY = "torch-legacy"
    """The same as torch wrote it before 1.6, and writes it with ``_use_new_zipfile_serialization=False``."""
    TORCH_TAR = "torch-tar"
    """The same as torch wrote it before 0.1.10."""
    TORCH_FOLDER = "torch-folder"
    """A zip of ``torch.save`` that somebody unpacked."""
    TORCH_SHARDS = "torch-shards"
    """A folder of ``torch.distributed.checkpoint``."""
    TORCH_PACKAGE = "torch-package"
    SAFETENSORS = "safetensors"
    SHARDS = "shards"
    """A JSON file that says which tensor lies in which file: ``model.safetensors.index.json``."""
    TORCHSCRIPT = "torchscript"
    EXPORTED = "exported"
    """A ``.pt2`` archive of ``torch.export.save``."""
    EXPORTED_OLD = "exported-old"
    """A ``.pt2`` archive as torch wrote it before 2.7."""
    ONNX = "onnx"
    HUGGING_FACE = "hugging-face"
    """A folder with ``config.json`` and weights."""
    DIFFUSERS = "diffusers"
    PICKLE = "pickle"
    COMPRESSED = "compressed"
    ZIP = "zip"
    TAR = "tar"
    ARCHIVE = "archive"
    EMPTY = "empty"
    HTML = "html"
    XML = "xml"
    LFS_POINTER = "lfs-pointer"
    KERAS = "keras"
    HDF5 = "hdf5"
    SAVED_MODEL = "saved-model"
    TENSORFLOW_CHECKPOINT = "tensorflow-checkpoint"
    TENSORFLOW_GRAPH = "tensorflow-graph"
    TFLITE = "tflite"
    GGUF = "gguf"
    COREML = "coreml"
    PTE = "pte"
    ORT = "ort"
    NUMPY = "numpy"
    NPZ = "npz"
    PARQUET = "parquet"
    PICTURE = "picture"
    PROGRAM = "program"
    JSON = "json"
    TOML = "toml"
    PYTHON = "python"
    TEXT = "text"
    FOLDER = "folder"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """What it is, to stand behind "is"."""
        return _WORDS[self][0]

    @property
    def hint(self) -> str:
        """What to do to get weights of a PyTorch model; empty where it holds them."""
        return _WORDS[self][1]


_SAVE = "Save model.state_dict() with torch.save or safetensors."
_TRUST = "If you trust who made the file, `edgekit build --trust-pickle` takes the weights out of it."
_TORCH = f"EdgeKit takes PyTorch models. Load it into the PyTorch model. {_SAVE}"
_AGAIN = "Download it again: weights are binary."
_BUILT = "EdgeKit writes such files: give the float model that it was made from."
_WORDS: dict[FileKind, tuple[str, str]] = {
    FileKind.TORCH: ("a file of torch.save", ""),
    FileKind.TORCH_LEGACY: ("a file of torch.save as torch before 1.6 wrote it", ""),
    FileKind.TORCH_TAR: (
        "a tar archive as torch before 0.1.10 wrote it",
        f"{_TRUST} Or load it with the torch that wrote it, and save model.state_dict() again.",
    ),
    FileKind.TORCH_FOLDER: (
        "the folder of an unpacked file of torch.save",
        "Give the file itself; if it is lost, `zip -0 -r model.pth FOLDER` packs it again.",
    ),
    FileKind.TORCH_SHARDS: (
        "a distributed checkpoint of torch",
        "Convert it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pth.",
    ),
    FileKind.TORCH_PACKAGE: ("an archive of torch.package", f"It carries code. Load it where you trust it. {_SAVE}"),
    FileKind.SAFETENSORS: ("a safetensors file", ""),
    FileKind.SHARDS: ("an index of weights in several files", ""),
    FileKind.TORCHSCRIPT: ("TorchScript", ""),
    FileKind.EXPORTED: ("a .pt2 archive of torch.export", ""),
    FileKind.EXPORTED_OLD: (
        "a .pt2 archive as torch before 2.7 wrote it",
        "Load it with torch.export.load of that torch, and export the model again with torch 2.13.",
    ),
    FileKind.ONNX: ("an ONNX model", ""),
    FileKind.HUGGING_FACE: ("a folder of a Hugging Face model", ""),
    FileKind.DIFFUSERS: (
        "a folder of a diffusers pipeline",
        "It holds several models: give the folder of one of them, such as vae.",
    ),
    FileKind.PICKLE: ("a pickle that torch.save did not write", f"{_TRUST} {_SAVE}"),
    FileKind.COMPRESSED: (
        "a compressed file",
        "Decompress it (gunzip, bunzip2, unxz, unzstd) and give what comes out.",
    ),
    FileKind.ZIP: ("a zip archive without a model of torch in it", "Unpack it and give the weights inside."),
    FileKind.TAR: ("a tar archive", "Unpack it and give the weights inside."),
    FileKind.ARCHIVE: ("an archive (7z or rar)", "Unpack it and give the weights inside."),
    FileKind.EMPTY: ("empty", "The file has no bytes: copy or download it again."),
    FileKind.HTML: ("an HTML page", f"It is what a server answered, for instance to ask for a login. {_AGAIN}"),
    FileKind.XML: ("XML", f"Of an OpenVINO model give the PyTorch original. {_AGAIN}"),
    FileKind.LFS_POINTER: ("a git-lfs pointer, not the file itself", "Run `git lfs pull` in that repository."),
    FileKind.KERAS: ("a Keras model", _TORCH),
    FileKind.HDF5: ("an HDF5 file, as Keras writes them", _TORCH),
    FileKind.SAVED_MODEL: ("a TensorFlow SavedModel", _TORCH),
    FileKind.TENSORFLOW_CHECKPOINT: ("a checkpoint of TensorFlow", _TORCH),
    FileKind.TENSORFLOW_GRAPH: ("a graph of TensorFlow", _TORCH),
    FileKind.TFLITE: ("a TFLite model", "It is converted already: give the PyTorch model that it was made from."),
    FileKind.GGUF: ("a GGUF file", "It is quantized already: give the PyTorch model that it was made from."),
    FileKind.COREML: ("a Core ML model", "It is converted already: give the PyTorch model that it was made from."),
    FileKind.PTE: ("an ExecuTorch program", _BUILT),
    FileKind.ORT: ("a model in ONNX Runtime's own format", "Give the .onnx file that it was made from."),
    FileKind.NUMPY: ("a NumPy array", f"Copy the arrays into the model. {_SAVE}"),
    FileKind.NPZ: ("an archive of NumPy arrays", f"Copy the arrays into the model. {_SAVE}"),
    FileKind.PARQUET: ("a Parquet table", f"It is data, no weights. {_SAVE}"),
    FileKind.PICTURE: ("a picture", f"It is data, no weights. {_SAVE}"),
    FileKind.PROGRAM: ("a program for a computer", _SAVE),
    FileKind.JSON: ("JSON", f"Weights are binary. {_SAVE}"),
    FileKind.TOML: ("TOML", f"Weights are binary. {_SAVE}"),
    FileKind.PYTHON: ("Python code", f"It belongs to model.source; weights are binary. {_SAVE}"),
    FileKind.TEXT: ("text", _AGAIN),
    FileKind.FOLDER: ("a folder", "Give the file of the weights inside."),
    FileKind.UNKNOWN: ("of a kind that EdgeKit does not know", _SAVE),
}
PICKLES = (FileKind.TORCH, FileKind.TORCH_LEGACY, FileKind.TORCH_TAR, FileKind.PICKLE)
"""What may run code when Python loads it, and is loaded where somebody trusts it."""
