"""The main job on one page: capture -> quantize -> lower -> verify -> bundle."""

import functools
from dataclasses import replace
from pathlib import Path

from edgekit import bundles, chips, lowering
from edgekit.base.cache import Cache
from edgekit.base.progress import Progress, Stages
from edgekit.bundles.result import BuildResult, NotBuilt
from edgekit.errors import EdgeKitError, LowerError, RunError
from edgekit.model.layers import Sensitivities
from edgekit.pipeline.assemble import assemble
from edgekit.pipeline.attempt import Attempts
from edgekit.pipeline.fallback import rank_blamed, settle, suspects
from edgekit.pipeline.job import Job
from edgekit.pipeline.keep import Keep
from edgekit.pipeline.legs import Ground, check_float_onnx, ground
from edgekit.spec import Format, Target


def build_job(
    job: Job,
    targets: tuple[Target, ...],
    output: Path,
    progress: Progress,
    cache: Cache | None = None,
    keep: Path | None = None,
) -> BuildResult:
    """Build one bundle per target at ``output / model / target``.

    The steps are those that the progress shows. Capture and quantization are shared between targets, and so are
    artifacts that come out the same.

    Args:
        job: The model with its data and demands.
        targets: What to build for.
        output: Folder of the bundles.
        progress: Told about every stage.
        cache: Where lowered artifacts are kept; None lowers always.
        keep: Folder for every intermediate and, if a stage fails, for its input and a script that fails alike.

    Raises:
        EdgeKitError: A subclass for the stage that failed; bundles that were there before stay as they were.
    """
    stages, kept = Stages(progress), Keep(folder=keep)
    places = {target.name: output / job.source.name / target.name for target in targets}

    # 1. Refuse what cannot be built or written before any work is done for it.
    for target in targets:
        chips.of_target(target).refuse(target)
        bundles.check_place(places[target.name])

    # 2. Capture the model, and run it in float: what every artifact is held against.
    start = ground(job, stages, kept)
    job = replace(job, source=start.captured.source)  # with the least sizes that it can be captured for

    # 3. Export it to ONNX in float, so that the quantizer is not blamed for the exporter.
    if any(Format.ONNX in target.formats for target in targets):
        start = _check_float_onnx(start, job, targets, stages, cache, kept)

    # 4. For each target quantize, lower and verify, again with layers in float where the budget asks for it; bundle.
    seconds = chips.seconds_each(targets)
    attempts = Attempts(job=job, ground=start, stages=stages, cache=cache, keep=kept, seconds=seconds)
    ranked = functools.cache(functools.partial(suspects, job, start.captured))
    finished, failed = [], []
    ranking: Sensitivities | None = None
    for target in targets:
        try:
            attempt, fallback = settle(job, target, attempts, ranked, stages)
        except EdgeKitError as error:  # what is said of one target is no reason to lose the others
            failed.append(NotBuilt(target=target.name, error=error, failed=True))
            continue
        with stages(f"bundle {target.name}") as detail:
            finished.append(assemble(job, target, attempt, fallback, places[target.name]))
            detail.append(str(places[target.name]))
        if fallback is None and ranking is None:  # no search was asked for: a failure is told with its layers
            ranking = rank_blamed(job, attempt, ranked, stages)
    if not finished:
        raise failed[0].error
    return BuildResult(
        bundles=tuple(finished),
        seconds=tuple(stages.seconds),
        cached=tuple(stages.cached),
        not_built=tuple(failed),
        ranking=ranking,
    )


def _check_float_onnx(
    start: Ground, job: Job, targets: tuple[Target, ...], stages: Stages, cache: Cache | None, keep: Keep
) -> Ground:
    """Export the float model; unless no target has another format, they are built without this one if that fails."""
    with stages("check float onnx") as detail:
        try:
            with keep.exporting(start.captured):
                exported, known = lowering.export_float(start.captured, cache)
            keep.data("float.onnx", exported)
            found = check_float_onnx(exported, job.source, start.host, job.memory)
        except (LowerError, RunError) as error:
            if all(target.formats == (Format.ONNX,) for target in targets):
                raise
            detail.append(f"refused: {error}")
            return replace(start, refused={Format.ONNX: error})
        detail.append(found + (", export from the cache" if known else ""))
    return start
