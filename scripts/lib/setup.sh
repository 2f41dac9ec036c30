# Sourced by the scripts beside this folder: makes .venv with EdgeKit in it, once, and again when pyproject.toml changes.
# Usage: setup EXTRAS, where EXTRAS is "" or for instance "dev". Needs $root. All it prints goes to standard error.

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
        if [ "$candidate" = "${PYTHON:-}" ]; then
            say "PYTHON=$PYTHON is not Python 3.11 to 3.13 with the venv module; looking for another."
        fi
    done
    say "error: EdgeKit needs Python 3.11, 3.12 or 3.13 with the venv module, and none was found."
    say "hint: install one (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python@3.12),"
    say "      or name one: PYTHON=/path/to/python3.12 $0"
    return 1
}

hash_of() { { sha256sum "$@" 2>/dev/null || shasum -a 256 "$@"; } | cut -d ' ' -f 1; }

# The stamp says what is installed. With "dev" installed, "" is installed too.
installed() {
    local wanted="$1" stamp="$root/.venv/.edgekit-stamp" hash extras
    [ -x "$root/.venv/bin/edgekit" ] && [ -r "$stamp" ] || return 1
    read -r hash extras <"$stamp" || true
    [ "$hash" = "$(hash_of "$root/pyproject.toml")" ] || return 1
    [ -z "$wanted" ] || [ "$extras" = "$wanted" ]
}

install_edgekit() {
    local extras="$1" python log hash
    hash="$(hash_of "$root/pyproject.toml")"
    # An environment that cannot start (interrupted while it was made, or its Python is gone) is made anew.
    if ! "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python="$(find_python)" || return 1
        "$python" -m venv --clear "$root/.venv" >&2 || return 1
    fi
    say "Installing EdgeKit and what it needs into .venv, once; this takes minutes and up to several GB (torch is most of it) ..."
    if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null && [ -z "${PIP_EXTRA_INDEX_URL:-}${PIP_FIND_LINKS:-}" ]; then
        say "hint: no NVIDIA GPU was found here; PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu takes the small build of torch."
    fi
    # An extra that is there stays: `scripts/edgekit` after a change must not lose what `scripts/test` installed.
    if [ -z "$extras" ] && [ -r "$root/.venv/.edgekit-stamp" ]; then
        read -r _ extras <"$root/.venv/.edgekit-stamp" || true
    fi
    rm -f "$root/.venv/.edgekit-stamp"
    if ! "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        ${EDGEKIT_LOCKED:+--constraint "$root/requirements-dev.lock"} --editable "$root${extras:+[$extras]}" >&2; then
        say "error: the installation failed; pip says why above."
        say "hint: mend it and start again; what was downloaded is kept."
        return 1
    fi
    printf '%s %s\n' "$hash" "$extras" >"$root/.venv/.edgekit-stamp.new"
    mv "$root/.venv/.edgekit-stamp.new" "$root/.venv/.edgekit-stamp"
    say "Installed."
}

setup() {
    if installed "$1"; then return; fi
    # Two at once: the second waits, and then finds everything there. The lock lies outside of what may be made anew.
    if command -v flock >/dev/null; then
        (
            flock -n 9 || { say "Waiting for another installation ..." && flock 9; }
            installed "$1" || install_edgekit "$1"
        ) 9>"${TMPDIR:-/tmp}/edgekit-setup-$(id -u)-$(printf '%s' "$root" | cksum | cut -d ' ' -f 1).lock"
    else
        install_edgekit "$1"
    fi
}
