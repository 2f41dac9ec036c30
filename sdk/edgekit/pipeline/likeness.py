"""Whether evaluation samples are like those of calibration: else the ranges were chosen for other data."""

from itertools import islice

from edgekit.data.rows import chunks
from edgekit.data.trace import Trace
from edgekit.model.program import Quantized
from edgekit.quantization.seen import db_of

# Noise on one set that is so much less than on the other says that these differ.
_FAR_DB = 3.0
# Parts of the evaluation samples that are compared: the first alone, where outputs are large.
_COMPARED = 4


def unlike(quantized: Quantized, host: Trace, answers: Trace) -> tuple[str, ...]:
    """Return a sentence for a reader of the report for each output whose SQNR differs by 3 dB or more.

    Args:
        quantized: The program, with what it has on calibration samples.
        host: The float answers for the evaluation samples.
        answers: Its own.
    """
    notes = []
    for name, seen in quantized.seen_db.items():
        both = zip(chunks(host.outputs[name]), chunks(answers.outputs[name]), strict=True)
        now = db_of((real, rounded) for (_, real), (_, rounded) in islice(both, _COMPARED))
        if now is None or abs(now - seen) < _FAR_DB:
            continue
        told = f"{name} has {seen:.1f} dB on most calibration samples and {now:.1f} dB on most evaluation samples"
        notes.append(
            f"{told}: calibration has seen nothing like some of these. More samples from other sources help, more of "
            "the same do not."
            if now < seen
            else f"{told}: these ask less of the model than what it was calibrated with."
        )
    return tuple(notes)
