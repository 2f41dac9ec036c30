"""A worker of the local pool: a process that loads the libraries once and does one cell after another.

It ends by itself when whoever started it has gone; the cell that it is at is finished and stored before.
"""

import faulthandler
import importlib
import os
import sys

from edgekit.base.frames import ClosedError, Facts, receive, send
from edgekit.pipeline.sweeping.tasks import Task


def answered(facts: Facts) -> Facts:
    """Do the cell that a message holds, and return the outcome as a message.

    A thread of the system ends the process once the time is over, whatever Python is at, and prints where that was.
    """
    from edgekit.pipeline.sweeping.work import perform

    task = Task.model_validate_json(str(facts["task"]))
    faulthandler.dump_traceback_later(task.seconds, exit=True, file=sys.stderr)
    try:
        return {"outcome": perform(task).model_dump_json()}
    finally:
        faulthandler.cancel_dump_traceback_later()


def warm() -> None:
    """Load what every cell needs: seconds that are then spent once."""
    for name in ("edgekit.pipeline.build", "edgekit.pipeline.job"):
        importlib.import_module(name)


def main() -> None:
    """Answer until there is nobody to answer."""
    read, write = map(int, sys.argv[1:3])
    warm()
    try:
        send(write, {"pid": os.getpid()})
        while True:
            facts, _ = receive(read)
            sys.stderr.flush()
            os.ftruncate(2, 0)  # what was printed of the cell before is no news of this one
            os.lseek(2, 0, os.SEEK_SET)
            send(write, answered(facts))
    except ClosedError:
        return


if __name__ == "__main__":
    main()
