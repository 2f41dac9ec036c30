"""A phone for tests: an executable ``adb`` whose phone is a folder. It says what the real one says.

Commands for the phone's shell are run by the real ``sh``, with ``/sdcard`` in the folder, and ``pm``, ``am`` and
``pidof`` as small scripts.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.apps.phone.trip import APP, RESULTS
from edgekit.data import trace
from edgekit.data.trace import Trace

READY = "39181FDJH0012A         device usb:1-4 product:shiba model:Pixel_8 device:shiba transport_id:3"
OTHER = "192.168.1.20:5555      device product:a52sxq model:SM_A528N device:a52s transport_id:4"
UNAUTHORIZED = "R3CR90XXXXXX           unauthorized usb:1-2 transport_id:5"

_ADB = """#!/usr/bin/env bash
root={root}
echo "$*" >> "$root/log"
serial=
if [ "$1" = -s ]; then serial=$2; shift 2; fi
case $1 in
devices) printf 'List of devices attached\\n'; cat "$root/devices"; echo ;;
shell)
  if [ -f "$root/gone" ]; then cat "$root/gone" >&2; exit 1; fi
  shift
  PATH="$root/bin:$PATH" sh -c "${{*//\\/sdcard/$root/sdcard}}" ;;
pull)
  if [ -f "$root/denied" ]; then echo "adb: error: failed to stat remote object '$2': Permission denied" >&2; exit 1; fi
  cp -r "${{2/\\/sdcard/$root/sdcard}}" "$3" && echo "$2/: 3 files pulled, 0 skipped." ;;
esac
"""
_PM = """#!/bin/sh
[ -f {root}/installed ] && echo package:/data/app/~~x==/$2-y==/base.apk
"""
_AM = """#!/bin/sh
if [ "$1" = force-stop ]; then rm -f {root}/alive; exit 0; fi
if [ -f {root}/am ]; then cat {root}/am; exit 0; fi
echo "Starting: Intent {{ cmp=$4 (has extras) }}"
touch {root}/alive
(
  sleep 0.2
  if [ -d {root}/answer ]; then
    mkdir -p {results}
    cp {root}/answer/*.npz {results} 2>/dev/null
    cp {root}/answer/selftest.json {results}/new
    mv {results}/new {results}/selftest.json
  fi
  [ -f {root}/stays ] || rm -f {root}/alive
) >/dev/null 2>&1 &
printf 'Status: ok\\nLaunchState: COLD\\nActivity: %s\\nTotalTime: 412\\nWaitTime: 415\\nComplete\\n' "$4"
"""
_PIDOF = """#!/bin/sh
[ -f {root}/alive ] && echo 4711
"""


@dataclass(frozen=True)
class FakePhone:
    """The folder that is the phone; the app is installed, and the phone is the only one."""

    root: Path

    @property
    def path(self) -> str:
        """The folder with ``adb``."""
        return str(self.root / "host")

    @property
    def log(self) -> list[str]:
        """The command lines that adb was given."""
        return (self.root / "log").read_text("utf-8").splitlines()

    @property
    def results(self) -> Path:
        """Where the app writes."""
        return self.root / RESULTS.removeprefix("/")

    def lists(self, *lines: str) -> None:
        """Say what ``adb devices`` lists."""
        (self.root / "devices").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def answers(self, selftest: dict[str, Any], traces: dict[str, Trace]) -> None:
        """Say what the app's self-test will write."""
        folder = self.root / "answer"
        folder.mkdir(exist_ok=True)
        for file, one in traces.items():
            trace.save(one, folder / f"{file}.npz")
        (folder / "selftest.json").write_text(json.dumps(selftest), encoding="utf-8")


def make(root: Path) -> FakePhone:
    """Make a phone."""
    phone = FakePhone(root)
    scripts = {"host/adb": _ADB, "bin/pm": _PM, "bin/am": _AM, "bin/pidof": _PIDOF}
    for name, text in scripts.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(root=root, results=phone.results), encoding="utf-8")
        file.chmod(0o755)
    (root / "installed").touch()
    phone.lists(READY)
    assert APP in RESULTS
    return phone
