"""The training: epochs of AdamW, each judged by what an artifact of it would answer, the best of them kept."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from edgekit.base.progress import Stages
from edgekit.data import truth
from edgekit.data.rows import Rows, in_memory
from edgekit.data.samples import Samples
from edgekit.errors import DataError
from edgekit.model.program import Captured, Quantized
from edgekit.quantization.training.devices import follow
from edgekit.quantization.training.loss import loss
from edgekit.quantization.training.network import QatNetwork
from edgekit.spec import Training

Judge = Callable[[Quantized, Samples], Mapping[str, Rows]]
"""Returns what an artifact of a program, or the program itself, answers."""

_MOST_HELD = 1024
# Of all steps, those in which the rate rises.
_WARM = 0.05


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What came of an epoch; of epoch 0, before any training."""

    number: int
    trained: float | None
    """Mean loss of the samples that it was trained with."""
    judged: float
    """Loss of the artifact's answers to the samples that were held out."""


@dataclass(kw_only=True)
class State:
    """Where a training stands: all that it needs to go on as if it had not been stopped."""

    epochs: list[Epoch] = field(default_factory=list)
    network: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Any] | None = None

    @property
    def best_epoch(self) -> int:
        """The number of the epoch with the best artifact, the first of equals."""
        return min(self.epochs, key=lambda one: (one.judged, one.number)).number

    def ended(self, plan: Training) -> bool:
        """Whether there is nothing left to train."""
        last = self.epochs[-1].number
        return last >= plan.epochs or last - self.best_epoch >= plan.patience


def train(
    network: QatNetwork,
    samples: Samples,
    plan: Training,
    judge: Judge,
    stages: Stages,
    *,
    state: State | None = None,
    save: Callable[[State], None] = lambda state: None,
) -> State:
    """Train a network in place; afterwards it is that of the best epoch, or as it was if none was better.

    Args:
        network: From `trainable`, on the device to train on.
        samples: What to train with; labels are optional.
        plan: How.
        judge: Answers for a program. What it is judged by were held out of the samples.
        stages: Told about every epoch.
        state: Where an earlier training with the same arguments was stopped.
        save: Given the state after every epoch.

    Raises:
        DataError: If there are too few samples to hold some out.
    """
    training, held = _held_out(samples, plan)
    task = _Task(network=network, plan=plan, teacher=_Teacher(network))
    if state is None:
        with stages("judge before training") as detail:
            judged = task.judged(judge, held)
            detail.append(f"loss {judged:.4g} on {len(held)} samples")
        first = Epoch(number=0, trained=None, judged=judged)
        state = State(epochs=[first], network=_copy(network), best=_copy(network))
        save(state)
    network.load_state_dict(state.network)
    steps = -(-len(training) // task.batch)
    optimizer = torch.optim.AdamW(network.groups(plan.rate), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, plan.epochs * steps))
    if state.optimizer is not None:
        optimizer.load_state_dict(state.optimizer["optimizer"])
        schedule.load_state_dict(state.optimizer["schedule"])
    while not state.ended(plan):
        number = state.epochs[-1].number + 1
        with stages(f"epoch {number}") as detail:
            trained = task.epoch(training, number, optimizer, schedule)
            judged = task.judged(judge, held)
            state.epochs.append(Epoch(number=number, trained=trained, judged=judged))
            state.network = _copy(network)
            state.optimizer = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            if state.best_epoch == number:
                state.best = state.network
            save(state)
            detail.append(f"loss {trained:.4g}, of the artifact {judged:.4g}, best epoch {state.best_epoch}")
    network.load_state_dict(state.best)
    return state


@dataclass(kw_only=True)
class _Task:
    """A network, its teacher, and how the one is brought near the other."""

    network: QatNetwork
    plan: Training
    teacher: "_Teacher"

    @property
    def batch(self) -> int:
        """Samples of a step."""
        captured = self.network.plan.captured
        return min(self.plan.batch, captured.rows) if captured.any_batch else captured.rows

    def epoch(self, samples: Samples, number: int, optimizer: torch.optim.Optimizer, schedule: Any) -> float:
        """Train with all samples once, in an order that follows from the seed and the epoch; return the mean loss."""
        order = np.random.default_rng([self.plan.seed, number]).permutation(len(samples))
        losses = []
        self.network.train()
        for start in range(0, len(samples), self.batch):
            places = order[np.arange(start, start + self.batch) % len(samples)]  # the last is filled up
            part = samples.rows(places)
            found = self._loss(self.network(*self.teacher.tensors(part)), part)
            optimizer.zero_grad(set_to_none=True)
            found.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(found.item())
        self.network.eval()
        return float(np.mean(losses))

    def judged(self, judge: Judge, held: Samples) -> float:
        """Return the loss of what an artifact answers."""
        answers = judge(self.network.quantized(), held)
        specs, size = self.teacher.captured.source.outputs, self.batch
        parts = []
        for start in range(0, len(held), size):
            count = min(size, len(held) - start)
            places = np.arange(start, start + size) % len(held)  # the teacher may take no other number
            wanted = {name: one[:count] for name, one in self.teacher.answers(held.rows(places)).items()}
            found = {
                spec.name: torch.from_numpy(in_memory(answers[spec.name][start : start + count])).to(
                    self.teacher.device
                )
                for spec in specs
            }
            true = self.teacher.truth(held.rows(slice(start, start + count)))
            parts.append((count, loss(specs, found, wanted, true, self.plan.labels).item()))
        return sum(count * value for count, value in parts) / len(held)

    def _loss(self, found: Tensor | dict[str, Tensor], part: Samples) -> Tensor:
        specs = self.teacher.captured.source.outputs
        named = {specs[0].name: found} if isinstance(found, Tensor) else found
        return loss(specs, named, self.teacher.answers(part), self.teacher.truth(part), self.plan.labels)


class _Teacher:
    """The float program, whose answers are learned."""

    def __init__(self, network: QatNetwork) -> None:
        self.captured: Captured = network.plan.captured
        self.device = network.device
        module = self.captured.program.module(check_guards=False)
        assert isinstance(module, fx.GraphModule)
        self._module = module.to(self.device)
        follow(self._module, self.device)

    def tensors(self, samples: Samples) -> list[Tensor]:
        """Return samples as arguments."""
        return [torch.from_numpy(samples.array(spec.name)).to(self.device) for spec in self.captured.source.inputs]

    def answers(self, samples: Samples) -> dict[str, Tensor]:
        """Return what the float program answers, by output."""
        with torch.no_grad():
            found = self._module(*self.tensors(samples))
        values = tuple(found) if isinstance(found, tuple | list) else (found,)
        return {spec.name: value for spec, value in zip(self.captured.source.outputs, values, strict=True)}

    def truth(self, samples: Samples) -> dict[str, Tensor]:
        """Return the true classes of outputs that mean logits, where they are known."""
        outputs = self.captured.source.outputs
        known = {spec.name: truth.of(spec, samples, outputs) for spec in outputs if spec.meaning == "logits"}
        return {
            name: torch.from_numpy(in_memory(rows)).long().to(self.device)
            for name, rows in known.items()
            if rows is not None
        }


def _held_out(samples: Samples, plan: Training) -> tuple[Samples, Samples]:
    """Return the samples to train with, and those to judge by."""
    count = min(_MOST_HELD, max(1, round(plan.held * len(samples))))
    if count >= len(samples):
        raise DataError(
            f"There is {len(samples)} sample to train with, and one must be held out.",
            hint="Train with hundreds of samples; they need no labels.",
        )
    order = np.random.default_rng(plan.seed).permutation(len(samples))
    return samples.rows(np.sort(order[count:])), samples.rows(np.sort(order[:count]))


def _rate(step: int, steps: int) -> float:
    """Return the share of the largest rate that a step has: it rises in a line, then falls as a cosine."""
    warm = max(1.0, _WARM * steps)
    return min((step + 1) / warm, (1 + math.cos(math.pi * step / steps)) / 2)


def _copy(network: QatNetwork) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()}
