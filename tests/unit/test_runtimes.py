"""What artifacts need against what runtimes carry: each result with a twin that has none."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import edgekit
from edgekit import bundles, errors, targets
from edgekit.base.versions import installed
from edgekit.spec import Format, Platform
from edgekit.targets import runtimes
from edgekit.targets.runtimes import check, header
from edgekit.targets.runtimes.check import Certainty, CompatibilityResult
from tests.unit import examples
from tests.unit.test_drop import ANDROID, android_app, assets, manifest

PTE_DELEGATES, ONNX_DELEGATES = ("XnnpackBackend",), ("CPUExecutionProvider",)


def model(opset: int = 18, ir_version: int = 10, domain: str = "", *, contrib: bool = False) -> bytes:
    """A file of one operator, larger than one byte of length can say."""
    node = helper.make_node("Relu", ["x"], ["y"])
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [100], [0.5] * 100)
    graph = helper.make_graph([node], "one", [value], [result], [weight])
    sets = [helper.make_opsetid(domain, opset), *([helper.make_opsetid("com.microsoft", 1)] if contrib else [])]
    return bytes(helper.make_model(graph, opset_imports=sets, ir_version=ir_version).SerializeToString())


def pte(*operators: str, delegates: tuple[str, ...] = PTE_DELEGATES) -> tuple[CompatibilityResult, ...]:
    """Examine a .pte for Android."""
    return check.examine("model.pte", Format.PTE, operators=operators, delegates=delegates, pins=ANDROID)


def onnx_file(
    *operators: str, data: bytes | None = None, pins: dict[str, str] = ANDROID
) -> tuple[CompatibilityResult, ...]:
    """Examine an .onnx for Android."""
    return check.examine("model.onnx", Format.ONNX, operators=operators, delegates=ONNX_DELEGATES, pins=pins, data=data)


@pytest.mark.parametrize("platform", list(Platform))
def test_every_pin_has_been_looked_into(platform: Platform) -> None:
    """The data are of the pinned version, and say what they were read from."""
    pins = runtimes.pinned(platform)
    there = {"onnxruntime"} if platform is Platform.WEB else {"executorch", "onnxruntime"}
    assert {runtimes.library_of(package) for package in pins} == there
    for package, version in pins.items():
        runtime = runtimes.load(package, version)
        assert runtime is not None
        assert len(runtime.operators) > 200
        assert runtime.backends
        assert all(len(library.sha256) == 64 and library.name and library.says for library in runtime.libraries)
        assert not runtime.operators.keys() & runtime.doubtful.keys()


def test_no_other_data_are_shipped() -> None:
    """What nobody pins any more goes."""
    pins = [pin for platform in Platform for pin in runtimes.pinned(platform).items()]
    there = {path.name for path in Path(runtimes.__file__).parent.glob("*.json")}
    assert there == {runtimes.file_name(*pin) for pin in pins}


def test_profiles_take_the_pins_of_their_platform(tmp_path: Path) -> None:
    """A profile's own go before them."""
    assert targets.load("android-arm64").runtimes == runtimes.pinned(Platform.ANDROID)
    assert targets.load("ios-arm64").runtimes == runtimes.pinned(Platform.IOS)
    text = (targets.folder() / "android-arm64.toml").read_text(encoding="utf-8")
    own = tmp_path / "robot.toml"
    own.write_text(text.replace('name = "android-arm64"', 'name = "robot"') + '\n[runtimes]\n"a:executorch" = "9"\n')
    assert targets.load(own).runtimes == {"a:executorch": "9"}


def test_a_backend_that_is_not_there_is_missing() -> None:
    """The one that is there is not."""
    assert not pte()
    (found,) = pte(delegates=("XnnpackBackend", "VulkanBackend"))
    assert found.certainty is Certainty.MISSING
    assert "VulkanBackend is not in org.pytorch:executorch-android 1.5.1, which has XnnpackBackend" in found.says


def test_a_kernel_that_is_not_there_is_missing() -> None:
    """The operators that small networks leave outside the delegate are there; a training-time one is not."""
    assert not pte("aten::mean.out", "aten::native_layer_norm.out", "aten::sym_size.int", "executorch_prim::et_view")
    (found,) = pte("aten::mean.out", "aten::native_batch_norm.out")
    assert found.certainty is Certainty.MISSING
    assert "aten::native_batch_norm.out" in found.says


def test_the_layers_that_need_a_missing_kernel_are_said() -> None:
    """Three of them, and how many more; other operators do not count, nor one whose name only begins the same."""
    places = ("mean", "sort (head)", "sort (a.b)", "sorted (tail)", "sort (c)", "sort (d)", "mean (e)")
    for given, said in ((places, "; it is needed by head, a.b, c and 1 more"), (places[:1], ""), (places[3:4], "")):
        (found,) = check.examine(
            "model.pte",
            Format.PTE,
            operators=("aten::mean.out", "aten::sort.values"),
            delegates=PTE_DELEGATES,
            pins=ANDROID,
            not_delegated=given,
        )
        assert found.says.endswith(f"aten::sort.values is not in org.pytorch:executorch-android 1.5.1{said}")


def test_a_kernel_of_one_library_alone_is_doubtful() -> None:
    """The reason names the library that has it; it does not stop a build."""
    (found,) = pte("llama::sdpa_with_kv_cache.out")
    assert found.certainty is Certainty.DOUBTFUL
    assert "no other library that was read" in found.says
    assert check.require([found]) == (f"{found.says}.",)


def test_operators_of_onnx_by_version() -> None:
    """An operator is there from the operator set on that brought it; an unknown one never is."""
    assert not onnx_file("Conv", "HardSwish", "QuantizeLinear", "Gelu", data=model(opset=20))
    (found,) = onnx_file("Conv", "Gelu", data=model(opset=18))
    assert "Gelu is not in com.microsoft.onnxruntime:onnxruntime-android 1.29.0 at operator set 18" in found.says
    (found,) = onnx_file("Conv", "Sparkle", data=model(opset=18))
    assert (found.certainty, "Sparkle" in found.says) == (Certainty.MISSING, True)
    assert not onnx_file("QLinearAdd", data=model(contrib=True))
    assert onnx_file("QLinearAdd", data=model())
    assert not onnx_file("Gelu", data=None)


def test_formats_that_are_too_new() -> None:
    """The newest that is read passes, the next does not."""
    package = "com.microsoft.onnxruntime:onnxruntime-android"
    runtime = runtimes.load(package, ANDROID[package])
    assert runtime is not None
    assert runtime.opset is not None
    assert runtime.ir_version is not None
    assert not onnx_file("Relu", data=model(opset=runtime.opset, ir_version=runtime.ir_version))
    (found,) = onnx_file("Relu", data=model(opset=runtime.opset + 1))
    assert f"operator set {runtime.opset + 1}" in found.says
    (found,) = onnx_file("Relu", data=model(ir_version=runtime.ir_version + 1))
    assert f"version {runtime.ir_version + 1} of ONNX's format" in found.says


def test_a_runtime_that_nobody_looked_into_is_a_note() -> None:
    """A pin of one's own, and none at all."""
    for pins in ({"com.microsoft.onnxruntime:onnxruntime-android": "1.99.0"}, {"org.pytorch:executorch-android": "1"}):
        (found,) = onnx_file("Sparkle", pins=pins)
        assert found.certainty is Certainty.UNKNOWN
        assert check.require([found])


def test_all_that_is_missing_is_said_at_once() -> None:
    """With the exit code of its own."""
    with pytest.raises(errors.CompatibilityError) as caught:
        check.require((*pte("aten::one.out", "aten::two.out"), *onnx_file("Sparkle")))
    assert all(name in caught.value.message for name in ("aten::one.out", "aten::two.out", "Sparkle"))
    assert check.require(pte("aten::mean.out")) == ()


def test_the_least_runtime_is_the_older_of_host_and_pin() -> None:
    """If somebody looked into the pinned one; a newer pin, and an unknown one, leave what the host verified with."""
    host = installed("onnxruntime")["onnxruntime"]
    assert check.minimum(Format.ONNX, ANDROID) == "onnxruntime 1.29.0"
    assert check.minimum(Format.ONNX, {}) == f"onnxruntime {host}"
    assert check.minimum(Format.ONNX, {"com.microsoft.onnxruntime:onnxruntime-android": "1.2.0"}).endswith(host)
    assert check.minimum(Format.PTE, runtimes.pinned(Platform.IOS)) == "executorch 1.5.1"


def test_the_header_is_read_without_the_library() -> None:
    """As the library itself reads it; what is no model has none."""
    for opset, ir_version, domain in ((13, 7, ""), (200, 10, "ai.onnx"), (20, 300, "")):
        data = model(opset, ir_version, domain, contrib=opset == 20)
        read = onnx.load_model_from_string(data)
        found = header.read(data)
        assert found is not None
        assert found.ir_version == read.ir_version
        assert found.opsets == {item.domain.removesuffix("ai.onnx"): item.version for item in read.opset_import}
    for damaged in (b"", b"onnx", b"\xff" * 20, model()[:50]):
        assert header.read(damaged) is None


@pytest.mark.parametrize(("operator", "fails"), [("aten::mean.out", False), ("aten::native_batch_norm.out", True)])
def test_drop_refuses_what_the_app_could_not_load(tmp_path: Path, operator: str, *, fails: bool) -> None:
    """Whatever force says; an operator that is there is dropped."""
    whole = manifest()
    lacking = whole.artifacts[0].model_copy(update={"operators": (operator,)})
    changed = whole.model_copy(update={"artifacts": (lacking, *whole.artifacts[1:])})
    source = examples.write_bundle(tmp_path / "bundle", changed)
    app = android_app(tmp_path / "demo")
    if not fails:
        assert edgekit.drop(app, bundle=source).copied
        return
    for force in (False, True):
        with pytest.raises(errors.CompatibilityError, match=operator):
            edgekit.drop(app, bundle=source, force=force)
    assert not assets(app).exists()


def test_a_provider_that_is_a_library_of_its_own_is_not_missing() -> None:
    """An app links it beside the runtime; one that is nowhere is."""
    pins = {"com.microsoft.onnxruntime:onnxruntime-android": "1.29.0"}
    for name, missing in (("QNNExecutionProvider", False), ("ToyExecutionProvider", True)):
        found = check.examine("model.onnx", Format.ONNX, operators=(), delegates=(name,), pins=pins)
        assert bool(found) is missing


def test_inspect_tells_and_does_not_fail(tmp_path: Path) -> None:
    """Looking at a bundle is not shipping it; a good one has nothing to tell."""
    from edgekit.inspection import BundleFolder, inspect_file

    good = inspect_file(examples.write_bundle(tmp_path / "good", manifest()))
    assert isinstance(good, BundleFolder)
    assert good.compatibility == ()
    whole = manifest()
    lacking = whole.artifacts[0].model_copy(update={"delegates": ("VulkanBackend",)})
    folder = examples.write_bundle(tmp_path / "bad", whole.model_copy(update={"artifacts": (lacking,)}))
    bad = inspect_file(folder)
    assert isinstance(bad, BundleFolder)
    assert [result.certainty for result in bad.compatibility] == [Certainty.MISSING]
    assert bundles.compatibility(folder, bundles.read(folder)) == bad.compatibility
