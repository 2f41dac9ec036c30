"""The process that unpickles what a person trusts: without network where the system allows that, and with limits.

Only ``--trust-pickle`` starts it. It runs whatever the file says with the rights of whoever builds; it has neither
their environment nor, under Linux, their network.
"""

import ctypes
import sys

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000


def without_network() -> bool:
    """Leave the network for good; returns whether the system allowed it. Only before there are threads."""
    if sys.platform != "linux":
        return False
    leave = ctypes.CDLL(None).unshare
    return bool(leave(_NEW_NET) == 0 or leave(_NEW_USER | _NEW_NET) == 0)


def main() -> None:
    """Answer the questions of `edgekit.model.weights.trust`."""
    isolated = without_network()
    from edgekit.base.child import serve
    from edgekit.model.weights.unpickled import Unpickled

    held = Unpickled("off" if isolated else "on")
    serve(lambda facts, _: ({**(held.exported() if "export" in facts else held.converted(facts))}, ()))


if __name__ == "__main__":
    main()
