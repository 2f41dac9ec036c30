"""Text of others, made safe to show: names, labels and messages may hold what terminals and readers obey."""

_OTHERS = (0x061C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)
_RANGES = (
    (0x00, 0x20),  # C0
    (0x7F, 0xA0),  # DEL and C1
    (0x202A, 0x202F),  # bidirectional embeddings and overrides
    (0x2066, 0x206A),  # bidirectional isolates
    (0xD800, 0xE000),  # half of a pair; bytes of a file name that are no text
    (0xFFF9, 0xFFFC),  # interlinear annotations
    (0xE0000, 0xE0080),  # tags, which nobody sees
)


def _shown(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_LINE = {code: _shown(code) for code in (*(code for ends in _RANGES for code in range(*ends)), *_OTHERS)}
_TEXT = {code: shown for code, shown in _LINE.items() if code not in (0x09, 0x0A)}


def plain(text: str) -> str:
    r"""Return a text with what steers readers written out: control characters, ``\x1b``, and turns of direction.

    Lines and tabs stay. It is the one place that decides this; whatever shows text goes through it.
    """
    return text.translate(_TEXT)


def line(text: str) -> str:
    """Return a text as `plain` does, on one line: its own line ends are written out, too."""
    return text.translate(_LINE)
