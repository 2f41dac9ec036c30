"""Quantization-aware training: what is trained is what is built, and what was stopped goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgekit
from edgekit.base.progress import Silent, Stages
from edgekit.data.samples import Samples
from edgekit.errors import DataError, ProjectError, QuantizeError
from edgekit.execution import artifact as runs
from edgekit.execution.eager import run_float, run_quantized
from edgekit.model.capture import capture
from edgekit.model.program import Captured, Quantized
from edgekit.pipeline import trained
from edgekit.pipeline.finetuning import judge
from edgekit.quantization import quantize
from edgekit.quantization.training.loop import State, train
from edgekit.quantization.training.loss import loss
from edgekit.quantization.training.network import QatNetwork, trainable
from edgekit.quantization.training.steps import Steps, WeightSteps
from edgekit.spec import (
    CPU_PLACING,
    Cpu,
    Embeddings,
    Format,
    OutermostLayer,
    QuantSpec,
    Scheme,
    TensorSpec,
    Training,
)
from tests.programs.networks import LOGITS, Tokens, TwoInTwoOut, faulty_source, images, small_source

pytestmark = pytest.mark.slow
ALL_INT8 = QuantSpec(first_layer=OutermostLayer.INT8, last_layer=OutermostLayer.INT8)
PLAN = Training(epochs=3, rate=5e-4, batch=16)


def small(scheme: Scheme = Scheme.INT8, spec: QuantSpec = ALL_INT8) -> QatNetwork:
    """Return the small network, ready to be trained."""
    samples = images(128, seed=1)
    return trainable(capture(small_source(), samples), scheme, spec, samples)


def answers(network: nn.Module, samples: Samples) -> Tensor:
    """Return what a network gives for pictures."""
    with torch.no_grad():
        found: Tensor = network(torch.from_numpy(samples.array("image")))
    return found


def of_program(program: Quantized, samples: Samples) -> Tensor:
    """Return what a program gives for pictures."""
    return torch.from_numpy(run_quantized(program, samples).outputs["logits"][:])


POOR = ALL_INT8.model_copy(update={"adaptive_rounding": False, "bias_correction": False, "equalization": False})


def poor() -> QatNetwork:
    """Return a network with a layer that int8 hardly holds, quantized without the steps that mend it."""
    samples = images(128, seed=1)
    return trainable(capture(faulty_source(), samples), Scheme.INT8, POOR, samples)


@pytest.fixture(scope="module")
def trained_network() -> QatNetwork:
    """Return that network after a training that is judged by its program."""
    network = poor()
    plan = Training(epochs=4, rate=3e-4, batch=32)
    train(network, images(256, seed=5), plan, judge(None, None), Stages(Silent()))
    return network


def tensors(samples: Samples) -> dict[str, Tensor]:
    """Return samples as a caller has them."""
    return {name: torch.from_numpy(samples.array(name)) for name in samples.inputs}


@pytest.mark.parametrize("scheme", [Scheme.INT8, Scheme.W8A16, Scheme.INT8_DYNAMIC])
def test_a_network_starts_as_what_the_quantizer_makes(scheme: Scheme) -> None:
    """Bit by bit; its twin with other ranges is somewhere else."""
    network, evaluation = small(scheme), images(64, seed=2)
    captured, samples = network.plan.captured, network.plan.calibration
    made = of_program(quantize(captured, scheme, ALL_INT8, samples), evaluation)
    assert torch.equal(answers(network, evaluation), made)
    assert torch.equal(of_program(network.quantized(), evaluation), made)
    other = ALL_INT8.model_copy(update={"adaptive_rounding": False, "bias_correction": False})
    assert not torch.equal(answers(small(scheme, other), evaluation), made)


def test_groups_of_four_bits_start_there_too() -> None:
    """Weights in groups whose scales have 16 bits, and tables of embeddings: the program is the network."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.hidden, self.last = nn.Embedding(50, 64), nn.Linear(64, 64), nn.Linear(64, 4)

        def forward(self, words: Tensor) -> Tensor:
            found: Tensor = self.last(torch.relu(self.hidden(self.table(words).mean(1))))
            return found

    torch.manual_seed(0)
    words = torch.randint(0, 50, (64, 6))
    network = edgekit.prepare_qat(
        Words(),
        words[:2],
        calibration=words,
        scheme="8da4w",
        quantization=QuantSpec(embeddings=Embeddings.INT4),
        name="words",
    )
    before = network(words).detach()
    optimizer = torch.optim.AdamW(network.groups(1e-2))
    for _ in range(4):
        (network(words) - 1).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    after = network(words).detach()
    samples = Samples(inputs={"words": words.numpy()})
    program = torch.from_numpy(run_quantized(network.quantized(), samples).outputs["output"][:])
    assert (after - program).abs().max() <= 1e-6 * after.abs().max()
    assert (before - program).abs().max() > 1e-2 * after.abs().max()


def test_gradients_are_those_of_learned_step_sizes() -> None:
    """Equations 1 to 3 of the paper, written out; inside values pass gradients on, cut off ones do not."""
    steps = Steps(torch.tensor(0.5), -4, 3)
    values = torch.tensor([0.1, 0.9, -0.6, 9.0, -9.0], requires_grad=True)
    found = steps.rounded(values, steps.scales, 5)
    assert torch.equal(found, torch.tensor([0.0, 1.0, -0.5, 1.5, -2.0]))
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert torch.equal(values.grad, torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]))
    of_scale = (0 - 0.2) + (2 - 1.8) + (-1 + 1.2) + 3 - 4
    assert steps.gain.grad is not None
    # What is learned is the logarithm of a gain: its gradient is the scale's times the scale.
    assert steps.gain.grad.item() == pytest.approx(0.5 * of_scale / (5 * 3) ** 0.5, rel=1e-5)


def test_training_brings_the_program_nearer_to_the_float_network(trained_network: QatNetwork) -> None:
    """On samples that it never saw; and weights and scales have moved."""
    evaluation = images(64, seed=2)
    reference = run_float(trained_network.plan.captured.source, evaluation).outputs["logits"][:]
    before, after = (
        np.square(answers(one, evaluation).numpy() - reference).mean() for one in (poor(), trained_network)
    )
    assert after < 0.9 * before
    assert any(bool(one.any()) for name, one in trained_network.named_parameters() if name.endswith(".gain"))


def test_the_artifacts_are_the_network_that_was_trained(trained_network: QatNetwork, tmp_path: Path) -> None:
    """The program is, to the bit; each file is, up to its kernels' arithmetic: far nearer than what was not trained."""
    evaluation = images(256, seed=2)
    ours, before = answers(trained_network, evaluation), answers(poor(), evaluation)
    program = trained_network.quantized()
    assert torch.equal(of_program(program, evaluation), ours)
    assert not torch.equal(of_program(poor().quantized(), evaluation), ours)
    result = edgekit.build(
        trained_network, target="linux-x86_64", formats="onnx", evaluation=tensors(evaluation), output=tmp_path
    )
    artifact = edgekit.lower(program, target="linux-x86_64", format="pte")
    built = (result.bundles[0].folder / "model.onnx").read_bytes()
    for format, data in ((Format.PTE, artifact.data), (Format.ONNX, built)):
        theirs = of_file(format, data, trained_network.plan.captured, evaluation)
        assert (theirs.argmax(1) == ours.argmax(1)).float().mean() >= 0.97
        assert (theirs - ours).square().mean() < 0.1 * (theirs - before).square().mean()


def of_file(format: Format, data: bytes, captured: Captured, samples: Samples) -> Tensor:
    """Return what a file gives for pictures."""
    opened = runs.open_artifact(format, data, Cpu.X86_64, captured.source.inputs, captured.source.outputs)
    return torch.from_numpy(opened.run(samples, 32)["logits"][:])


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Killed after the second epoch, it ends with the same bits; a training with other settings begins anew."""

    class KilledError(Exception):
        pass

    def stop(state: State) -> None:
        if len(state.epochs) == 3:
            raise KilledError

    samples, file = tensors(images(48, seed=5)), tmp_path / "checkpoint"
    whole, stopped = small(), small()
    found = edgekit.finetune(whole, samples, training=PLAN)

    from edgekit.pipeline import finetuning

    def halt(to: Path, key: str, state: State) -> None:
        write(to, key, state)
        stop(state)

    write = finetuning._save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning, "_save", halt)
        with pytest.raises(KilledError):
            edgekit.finetune(stopped, samples, training=PLAN, checkpoint=file)
    again = small()
    seen = edgekit.finetune(again, samples, training=PLAN, checkpoint=file)
    assert seen == found
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in whole.state_dict().items())
    other = edgekit.finetune(small(), samples, training=replace_seed(PLAN), checkpoint=file)
    assert other.epochs != found.epochs


def replace_seed(plan: Training) -> Training:
    """Return a plan with another order of the samples."""
    return plan.model_copy(update={"seed": 1})


def test_a_training_that_brings_nothing_leaves_the_network(tmp_path: Path) -> None:
    """With a rate that destroys it, the best epoch is that before the training, and it ends early."""
    network = small()
    before = {name: one.clone() for name, one in network.state_dict().items()}
    plan = Training(epochs=9, rate=0.9, patience=2, batch=32)
    found = edgekit.finetune(network, tensors(images(64, seed=5)), training=plan)
    assert found.best_epoch == 0
    assert len(found.epochs) == 3
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())


def test_a_trained_network_is_kept_in_a_folder(tmp_path: Path) -> None:
    """It gives the same answers from there, and is refused for other weights, schemes, chips and layers."""
    network, evaluation = small(), images(32, seed=2)
    trained.save(trained.of_network(network), tmp_path / "trained")
    source, captured = network.plan.captured.source, network.plan.captured
    found = trained.load(tmp_path / "trained", source)
    program = found.for_build(captured, Scheme.INT8, CPU_PLACING, ())
    assert torch.equal(of_program(program, evaluation), answers(network, evaluation))
    with pytest.raises(ProjectError, match="other weights"):
        trained.load(tmp_path / "trained", replace(source, weights_sha256="0"))
    with pytest.raises(ProjectError, match="w8a16 is asked for"):
        found.for_build(captured, Scheme.W8A16, CPU_PLACING, ())
    with pytest.raises(ProjectError, match="rounds other values"):
        found.for_build(captured, Scheme.INT8, CPU_PLACING.model_copy(update={"symmetric": True}), ())
    with pytest.raises(ProjectError, match="float_layers"):
        found.for_build(captured, Scheme.INT8, CPU_PLACING, ("stem",))
    (tmp_path / "other").mkdir()
    with pytest.raises(ProjectError, match="no trained network"):
        trained.load(tmp_path / "other", source)


def test_labels_are_learned_where_they_are_wanted() -> None:
    """With them alone the loss is the cross entropy; without, true classes change nothing."""
    logits = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    found, wanted = {"logits": logits}, {"logits": logits.flip(1)}
    truth = {"logits": torch.arange(8) % 4}
    alone = loss((LOGITS,), found, wanted, truth, 1.0)
    assert alone.item() == pytest.approx(nn.functional.cross_entropy(logits, truth["logits"]).item())
    assert torch.equal(loss((LOGITS,), found, wanted, truth, 0.0), loss((LOGITS,), found, wanted, {}, 0.5))
    assert loss((LOGITS,), found, found, {}, 0.0).item() == pytest.approx(0, abs=1e-6)


def test_numbers_are_measured_by_their_variance() -> None:
    """An output in other units weighs the same, and integers have no gradient."""
    spec, whole = TensorSpec(name="y", shape=("batch", 3)), TensorSpec(name="n", shape=("batch",), dtype="int64")
    wanted = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    counts = torch.arange(16)
    small_, large = (
        loss((spec, whole), {"y": k * wanted * 1.1, "n": counts}, {"y": k * wanted, "n": counts + 1}, {}, 0.0)
        for k in (1.0, 1000.0)
    )
    assert small_.item() == pytest.approx(large.item(), rel=1e-4)
    assert 0.005 < small_.item() < 0.02


def test_several_inputs_and_outputs_are_named() -> None:
    """A network with several outputs returns them by name, and attention has gradients through all its layers."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(64, 6, generator=generator), torch.randn(64, 4, generator=generator)
    network = edgekit.prepare_qat(
        TwoInTwoOut(), (left[:2], right[:2]), calibration=[(left, right)], output_names=("scores", "embedding")
    )
    found = network(left, right)
    assert isinstance(found, dict)
    assert [(name, tuple(one.shape)) for name, one in found.items()] == [("scores", (64, 3)), ("embedding", (64, 5))]
    tokens = torch.randn(64, 6, 8, generator=generator)
    attention = edgekit.prepare_qat(Tokens(), tokens[:2], calibration=tokens)
    result = attention(tokens)
    assert isinstance(result, Tensor)
    result.square().sum().backward()  # type: ignore[no-untyped-call]
    idle = [name for name, one in attention.named_parameters() if one.grad is None]
    assert not idle


def test_what_cannot_be_trained_is_named() -> None:
    """No scheme, nothing quantized, too few samples, a network that is described twice."""
    model, picture = small_source().model, torch.zeros(2, 1, 8, 8)
    with pytest.raises(ProjectError, match="no scheme 'float'"):
        edgekit.prepare_qat(model, picture, calibration=picture, scheme="float")
    with pytest.raises(QuantizeError, match="no rounding to train with"):
        edgekit.prepare_qat(model, picture, calibration=torch.randn(4, 1, 8, 8), quantization={"float_layers": ["*"]})
    network = small()
    with pytest.raises(DataError, match="one must be held out"):
        edgekit.finetune(network, tensors(images(1, seed=0)))
    with pytest.raises(ProjectError, match="name cannot be said"):
        edgekit.build(network, target="android-arm64", output=".", name="other")
    with pytest.raises(ProjectError, match="labels, max_batch cannot be said"):
        edgekit.build(network, target="android-arm64", output=".", labels=["a"] * 10, max_batch=4)


def test_training_leaves_the_float_program_alone() -> None:
    """A stage leaves its input as it was."""
    network = small()
    before = {name: one.clone() for name, one in network.plan.captured.program.state_dict.items()}
    train(network, images(64, seed=5), Training(epochs=1, batch=32), judge(None, None), Stages(Silent()))
    assert all(torch.equal(one, before[name]) for name, one in network.plan.captured.program.state_dict.items())


def test_a_weight_starts_where_it_was_between_its_neighbours() -> None:
    """As near to the float weight as it is still rounded to the step that the quantizer chose."""
    network = small()
    steps = [one for one in network.graph.modules() if isinstance(one, WeightSteps)]
    weights = [
        network.graph.get_parameter(str(node.all_input_nodes[0].target))
        for node in network.graph.graph.nodes
        if node.op == "call_module" and isinstance(network.graph.get_submodule(str(node.target)), WeightSteps)
    ]
    assert len(steps) == len(weights) > 3
    assert any(not torch.allclose(one(weight), weight) for one, weight in zip(steps, weights, strict=True))
