"""Run a .tflite: litert_runner.py MODEL INPUTS [OUTPUTS]. Needs LiteRT's environment alone.

With OUTPUTS, runs the samples one by one and writes what they give. Without, reads counts from standard input, runs the
first sample so often on one thread, and answers each with the seconds of every run as JSON.
"""

import json
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main() -> None:
    """Run or time."""
    interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
    samples = np.load(sys.argv[2], allow_pickle=False)
    interpreter.allocate_tensors()
    given, wanted = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    if len(sys.argv) > 3:
        outputs = []
        for row in samples:
            interpreter.set_tensor(given, row[None])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(wanted)[0])
        np.save(sys.argv[3], np.stack(outputs))
        return
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            interpreter.set_tensor(given, samples[:1])
            interpreter.invoke()
            interpreter.get_tensor(wanted)
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
