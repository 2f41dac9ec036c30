"""What a board's shell is told. POSIX alone, as BusyBox has it; no single quotes, which other shells read otherwise."""

import shlex

# Whatever a login prints comes before these words.
HELLO, RAN = "EDGEKIT-BOARD", "EDGEKIT-RAN"
NOT_TAKEN, NOT_GIVEN = 91, 92
"""Exit codes: files could not be unpacked there, or not be packed."""

_START = """PATH=$PATH:/usr/local/bin:/usr/bin:/bin; LC_ALL=C; export PATH LC_ALL; umask 077
"""
# Says what the board is; then gives a folder for each line that asks for kilobytes. It ends when nobody is there any
# more, and whenever it ends, the folder and what runs in it are gone.
_KEEPER = """d=
clean() {
  if [ -n "$d" ]; then
    for p in $(cat "$d/pid" 2>/dev/null); do
      case $(readlink "/proc/$p/exe") in "$d"/*) kill -9 "$p";; esac
    done
    rm -rf "$d"
  fi
  d=
}
trap clean EXIT
trap "exit 1" HUP INT TERM
trap "" PIPE
echo @HELLO@
echo "system=$(uname -s)"
echo "machine=$(uname -m)"
echo "kernel=$(uname -r)"
echo "bits=$(getconf LONG_BIT 2>/dev/null)"
echo "cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null)"
echo "board=$(tr -d "\\000" </proc/device-tree/model 2>/dev/null)"
echo "os=$(. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME")"
grep -E "^(model name|CPU implementer|CPU part|Features|flags)" /proc/cpuinfo 2>/dev/null | sort -u | head -n 40
echo end
while read -r need; do
  clean
  if [ "$need" = free ]; then echo end; continue; fi
  for base in "${TMPDIR:-/tmp}" /var/tmp "$HOME"; do
    case $base in ""|*[!A-Za-z0-9/._+-]*) continue;; esac
    d=$(mktemp -d "$base/edgekit-XXXXXX" 2>/dev/null)
    if [ -z "$d" ]; then echo "unfit=$base cannot be written to"; continue; fi
    set -- $(df -Pk "$d" | tail -n 1)
    echo "#!/bin/sh" >"$d/try"
    chmod 700 "$d/try"
    if [ "${4:-0}" -lt "$need" ]; then echo "unfit=$base has ${4:-0} kB left"; clean
    elif ! "$d/try" 2>/dev/null; then echo "unfit=$base lets no program run"; clean
    else rm -f "$d/try"; d=$(cd "$d" && pwd -P); echo "folder=$d"; break; fi
  done
  echo end
done
"""
_TAKE = """cd @FOLDER@ && rm -rf @INTO@ && mkdir @INTO@ && tar -xof - -C @INTO@ || exit @NOT_TAKEN@
"""
_RUN = """cd @FOLDER@ && rm -rf out && mkdir out || exit @NOT_TAKEN@
env -i native/edgekit-run @WORDS@ </dev/null >log 2>err &
echo $! >pid
wait $!
c=$?
rm -rf pid in
echo
echo @RAN@ $c
tar -cf - log err out || exit @NOT_GIVEN@
"""


def keeper() -> str:
    """Return what describes the board, and keeps a folder as long as somebody is there."""
    return _filled(_START + _KEEPER, HELLO=HELLO)


def take(folder: str, into: str) -> str:
    """Return what unpacks an archive from standard input into a new folder within ``folder``."""
    return _filled(_START + _TAKE, FOLDER=folder, INTO=into, NOT_TAKEN=str(NOT_TAKEN))


def run(folder: str, words: list[str]) -> str:
    """Return what runs the native program, and gives its exit code and an archive of what it has said and written."""
    return _filled(
        _START + _RUN,
        FOLDER=folder,
        WORDS=shlex.join(words),
        NOT_TAKEN=str(NOT_TAKEN),
        NOT_GIVEN=str(NOT_GIVEN),
        RAN=RAN,
    )


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
