"""Small programs that load one library each, in a process of their own, so that a crash takes only that along."""

import json
import signal
import subprocess
import sys
from typing import Any

Found = dict[str, Any] | str
"""What a probe found, or why it found nothing."""

MARK = "edgekit-probe:"  # libraries print on stdout too
TORCH = f"""
import json, torch
devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
print({MARK!r} + json.dumps(dict(cuda=torch.version.cuda, devices=devices)))
"""
EXECUTORCH = f"""
import json
from executorch.runtime import Runtime
print({MARK!r} + json.dumps(dict(backends=sorted(Runtime.get().backend_registry.registered_backend_names))))
"""
ONNXRUNTIME = f"""
import json, onnxruntime
print({MARK!r} + json.dumps(dict(providers=onnxruntime.get_available_providers())))
"""


def run(program: str, timeout: float = 120) -> Found:
    """Run a probe and return what it found, or in words why it did not."""
    try:
        # S603: the program is one of the literals above.
        done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=timeout)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"does not load within {timeout:g} s"
    for line in done.stdout.splitlines():
        if line.startswith(MARK) and done.returncode == 0:
            found: dict[str, Any] = json.loads(line.removeprefix(MARK))
            return found
    if done.returncode < 0:
        return f"crashes: {signal.Signals(-done.returncode).name}"
    return (done.stderr.strip().splitlines() or [f"ends with exit code {done.returncode}"])[-1]
