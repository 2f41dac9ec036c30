"""Write the reference pages of ``docs`` and the JSON Schema of the manifest from the code and the target data.

With ``--check`` nothing is written, and the exit code says whether the pages are up to date.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from size_page import size_page

from edgekit import errors, targets
from edgekit.bundles.manifest import json_schema
from edgekit.render.page.terms import TERMS
from edgekit.spec import Target, scaffold
from edgekit.spec.sections import Project
from edgekit.targets import extras

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SCHEMA = ROOT / "sdk" / "edgekit" / "bundles" / "schemas" / "manifest-1.json"
GENERATED = "<!-- Written by scripts/make-docs; edit the docstrings instead. -->\n\n"


CHIPS = """A target is a CPU, or another kind of processor: an NPU, a GPU, a microcontroller, a browser. `edgekit build`
makes the files, runs them over the evaluation samples by what stands in the table, and judges the answers as it
judges a CPU's: the legs *lowering* and *total*, the verdict, the manifest.

What *runs them here* is one of three, and table, page and manifest (`on_chip.executed`) say which:

* **on this host**: the runtime of the device itself;
* **simulated**: the chip's own library, or a reference model of it, on this machine's processor. A simulator is no
  silicon: it computes what the chip should;
* **not executed**: nothing here runs the file. The quantized program stands in: there is no leg *lowering*, and *total*
  is the program's. The same is said where the extra is not installed.
"""
CHIPS_MORE = """`edgekit build --target all` builds for every target whose extra is installed, quantizes once for
those that round the same, says of the others what to install, and ends with one table. Which targets to build for can
stand in `edgekit.toml`: `targets = ["android-arm64", "snapdragon-8-gen-3"]` under `[build]`. A simulation takes a
second where a chip takes a millisecond: what is not done in two minutes is left out (of several such targets, in an
equal part of four minutes), and legs and manifest say how many samples, the first ones, were run.

A chip made for integers computes in half precision, or hands to another processor, what is left in float. So for these
targets every value is rounded: gates, first and last layers, means and sums too. What stays in float nevertheless,
because `float_layers` says so or the chip has no integers for it, is named (`on_chip.elsewhere`).

Cortex-M, Ethos-U and VGF take one sample in each call. The `.pte` for a Cortex-M is computed here from its own plan,
one instruction after the other, in the memory that it plans. In the `.pte` for an Ethos-U stands the stream that Vela
makes of a graph in TOSA's language: that graph is what runs here, and Vela must make the same stream of it again;
likewise Arm's model converter the VGF for a neural GPU. Answers are off the program's by a step here and there, which
later layers may multiply: biases are integers, and CMSIS-NN rounds twice. `tosa-tools`, which all three need, wants
exact versions: with it pip takes onnx 1.21, numpy 2.1 and flatbuffers 25.2.10, with which files may differ in bytes
from those made without it. The extra `chips` is all extras of the table at the end.

```sh
pip install 'edgekit[qnn]'
edgekit build --sample --target snapdragon-8-gen-3
```
"""
CHIPS_EACH = """## What to know of each

* **Hexagon** (`.onnx`) runs in an Android app that links Qualcomm's provider beside ONNX Runtime,
  `com.qualcomm.qti:onnxruntime-android-qnn`. `edgekit drop android-demo --target snapdragon-8-gen-3` puts its bundle
  beside the CPU's, and the demo takes it on a phone whose system on a chip the manifest names (`target.socs`), once the
  bundle's golden inputs gave there what they gave here. It first loads the file in `compiled/`, then the `.onnx`, which
  the phone compiles, and refuses both where a node would stay on the CPU. The demo's own runner was run with Qualcomm's
  library for Linux, on the sample; on no phone. Compiled files keep the version of ONNX's format that their model has,
  which the runtimes that apps pin can read.
* **OpenVINO** computes with integers what has signed weights. On processors without VNNI its kernels for them add in
  16 bits and saturate: on such a machine, bench/'s MobileNetV2-like network was 21.9 dB from its program, its
  transformer 19.7 dB, where the programs are 40.5 and 44.3 dB from float. So a build on such a machine lets each layer
  compute in float between its roundings, as exact kernels do (40.6 dB from the program), says *simulated*, and notes
  how far its own kernels are off. For such processors take the `.onnx` of `linux-x86_64`. Islands of float are a CPU's:
  with everything rounded, answers were 0 to 7 dB further from float on the networks that were tried.
* **Core AI** takes a folder, `model.aimodel`; the bundle has it in an archive, `model.aimodel.zip`, since an artifact
  is one file with one digest. Unpack it, and add the folder to Xcode. It takes one sample a call. Apple's converter
  writes other bytes each time, so that only the cache keeps them. coreai-core and coreai-torch are betas. Apple's
  runtime is as far from the quantized program as ONNX Runtime's exact kernels are: 37.0 and 37.1 dB on bench/'s
  MobileNetV2-like network with everything rounded, 100 samples. Sums in another order tip a step here and there.
* **Core ML** (`.pte`) is lowered for iOS 17 and later, and what stays float is float16 there.
* **Vulkan** (`.pte`) keeps linear layers in float: its delegate takes those of static int8, and fails at the first
  inference (executorch#22775).
* **TensorRT** takes the `.onnx` by its rules of explicit quantization: steps of activations evenly around zero, one
  scale for each, one for each output channel of a weight, biases in float. What is written is checked against them.
"""
CHIPS_OWN = """## A chip of your own

A package beside EdgeKit brings one by an entry point: a function that returns an `edgekit.chips.Chip`, a value of what
is rounded, of how a program becomes a file, and of what runs the file here.

```toml
[project.entry-points."edgekit.chips"]
mychip = "mypackage.chip:chip"
```

A target's profile then names it: `[chip]` with `name = "mychip"`, and `options` that the package reads. See
`sdk/edgekit/chips/hexagon/` for a whole one, and [decision 0020](decisions/0020-chips.md) for why it is so.
"""


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    options = parser.parse_args()
    stale = []
    for path, text in files().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if not options.check:
                path.write_text(text, encoding="utf-8")
                sys.stdout.write(f"wrote {path}\n")
    if options.check and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run scripts/make-docs")


def files() -> dict[Path, str]:
    """Return the text of every generated file."""
    return {
        DOCS / "errors.md": errors_page(),
        DOCS / "project.md": project_page(),
        DOCS / "targets.md": targets_page(),
        DOCS / "chips.md": chips_page(),
        DOCS / "size.md": size_page(DOCS / "zoo.json", GENERATED),
        DOCS / "terms.md": terms_page(),
        SCHEMA: json.dumps(json_schema(), indent=2, sort_keys=True) + "\n",
    }


def errors_page() -> str:
    """Return the page of exit codes."""
    classes = sorted(errors.EdgeKitError.__subclasses__(), key=lambda kind: kind.exit_code)
    rows = [f"| {kind.exit_code} | `{kind.__name__}` | {_first_line(kind)} |" for kind in classes]
    return "\n".join(
        [
            "# Exit codes\n",
            GENERATED + "Every error names the place, the reason and a way out; `--debug` adds the traceback. With",
            "`--json` the error is also an object on standard output.\n",
            "| code | class | meaning |",
            "|---|---|---|",
            "| 0 | | Done. |",
            "| 1 | | An error that nobody foresaw: please report it. |",
            "| 2 | | The command line was wrong. |",
            *rows,
            "| 130 | | Interrupted. |\n",
        ]
    )


def terms_page() -> str:
    """Return the glossary, whose terms are those of the pages."""
    rows = [f"| {title} | {term.means} | {term.good} |" for title, term in TERMS.items()]
    return "\n".join(
        [
            "# Terms, and good values\n",
            GENERATED + "The page of a bundle says the same at the head of its columns. What is good depends on",
            "the task: the limits that count are those of your [budget](gate.md).\n",
            "| term | means | good |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").splitlines()[0].replace("``", "`")


def project_page() -> str:
    """Return the reference of ``edgekit.toml``."""
    return "\n".join(
        [
            "# The project file\n",
            GENERATED + "`edgekit init FOLDER` writes one that works, with comments. Paths are relative to its folder.",
            "All faults are reported together: unknown keys with the nearest right name, wrong types, missing files.\n",
            "`--sample NAME` says which:\n",
            "| sample | is | weights and data from |",
            "|---|---|---|",
            *(f"| `{sample.name}` | {sample.summary} | {_sources(sample)} |" for sample in scaffold.SAMPLES),
            "",
            *_tables(Project, ""),
        ]
    )


def _sources(sample: scaffold.Sample) -> str:
    return ", ".join(f"`{package.name}`" for package in sample.packages) or "EdgeKit itself"


def targets_page() -> str:
    """Return the list of targets and the reference of a profile."""
    profiles = [targets.load(name) for name in targets.names()]
    rows = [
        f"| `{profile.name}` | {profile.summary} | {', '.join(profile.formats)} "
        f"| {', '.join(f'{package} {version}' for package, version in profile.runtimes.items())} |"
        for profile in profiles
    ]
    return "\n".join(
        [
            "# Targets\n",
            GENERATED + "| target | for | formats | runtimes that an app pins |",
            "|---|---|---|---|",
            *rows,
            "",
            "A target is one TOML file. Copy one from `targets/`, change it, and give its path:",
            "`edgekit build --target ./my-board.toml`. A new file in `targets/` is a new target; no code changes.\n",
            "`linux-x86_64-vnni` is for machines that all have VNNI (`edgekit doctor` tells; servers since 2019,",
            "many PCs since 2021). Its `.onnx` gives the same answers as that of `linux-x86_64` in about half the",
            "time. Without VNNI its answers are wrong, and a build there says so by its verdict.\n",
            *_tables(Target, ""),
        ]
    )


def chips_page() -> str:
    """Return the table of what runs where."""
    profiles = [targets.load(name) for name in targets.names()]
    return "\n".join(
        [
            "# Chips\n",
            GENERATED + CHIPS,
            "| target | for | files | schemes | how it is verified here | extra |",
            "|---|---|---|---|---|---|",
            *map(_chip_row, profiles),
            "",
            CHIPS_MORE,
            "| extra | for | packages | without it | licence beside open ones |",
            "|---|---|---|---|---|",
            *(
                f"| `{one.name}` | {one.chip} | {', '.join(f'`{package}`' for package in one.packages)} "
                f"| {'its files are not made' if one.lowers else 'its files are made, and not executed'} "
                f"| {one.licence} |"
                for one in extras.EXTRAS
            ),
            "",
            CHIPS_EACH,
            CHIPS_OWN,
        ]
    )


def _chip_row(profile: Target) -> str:
    extra = extras.of_chip(profile.chip.name)
    native = "the runtime itself, on this machine and emulated" if profile.cpu_models else "the runtime itself"
    schemes = ", ".join(f"`{scheme}`" for scheme in profile.chip.schemes) or "all"
    return (
        f"| `{profile.name}` | {profile.summary} | {', '.join(profile.formats)} | {schemes} "
        f"| {profile.chip.verified or native} | {f'`{extra.name}`' if extra else ''} |"
    )


def _tables(
    model: type[BaseModel], path: str, brackets: str = "[{}]", shown: dict[type[BaseModel], str] | None = None
) -> Iterator[str]:
    """Yield a table of a model's keys, then those of the models inside it; what was shown before is referred to."""
    shown = {} if shown is None else shown
    title = f"`{brackets.format(path)}`" if path else "Top level"
    yield f"## {title}\n"
    if model in shown:
        yield f"The keys of {shown[model]}.\n"
        return
    shown[model] = title
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    inner = []
    for key, field in model.model_fields.items():
        child, several = _model_in(field.annotation), str(field.annotation).startswith("tuple")
        if child is not None:
            named = ".NAME" if str(field.annotation).startswith("dict") else ""
            inner.append((child, f"{path}.{key}{named}".strip("."), several))
        choices = _choices(field.annotation)
        table = "list of tables" if several else f"{choices} or a table" if choices else "table"
        type_name = _type_name(field) if child is None else table
        meaning = (field.description or "").replace("``", "`").replace("\n", " ").replace("|", "\\|")
        yield f"| `{key}` | {type_name} | {_default(field)} | {meaning} |"
    yield ""
    for child, place, several in inner:
        yield from _tables(child, place, "[[{}]]" if several else "[{}]", shown)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _type_name(field: FieldInfo) -> str:
    text = str(field.annotation) if get_args(field.annotation) else getattr(field.annotation, "__name__", "value")
    names = ("string", "number", "whole number", "list", "true or false")
    kinds = {"str": names[0], "float": names[1], "int": names[2], "bool": names[4]}
    if text.startswith("tuple"):
        return names[3]
    if text.startswith("dict"):
        return "table"
    if text.startswith("typing.Literal"):
        return ", ".join(
            f'`"{value}"`' if isinstance(value, str) else f"`{value}`" for value in get_args(field.annotation)
        )
    if choices := _choices(field.annotation):
        return choices
    return next((name for key, name in kinds.items() if key in text), "string")


def _choices(annotation: object) -> str:
    """Return the values of the enumeration that an annotation is or that is one of its parts."""
    if members := getattr(annotation, "__members__", None):
        return ", ".join(f'`"{member.value}"`' for member in members.values())
    return next((found for part in get_args(annotation) if (found := _choices(part))), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or isinstance(default, BaseModel):
        return ""
    return f"`{json.dumps(default)}`"


if __name__ == "__main__":
    main()
