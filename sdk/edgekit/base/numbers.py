"""Numbers as a person reads them."""


def kilobytes(count: int) -> str:
    """Return bytes in units of 1000."""
    return f"{count} B" if count < 1000 else f"{count / 1000:,.1f} kB"


def percent(share: float, digits: int = 1) -> str:
    """Return a share in per cent, without the sign; only a whole is shown as 100."""
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) == 100:
        return f"{100 - 10**-digits:.{digits}f}"
    return text


def small(value: float) -> str:
    """Return an error with three significant digits."""
    return "0" if value == 0 else f"{value:.2e}" if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:.3g}"


def figure(value: float) -> str:
    """Return a figure of any size: a whole one with its thousands apart, others with three significant digits."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"


def cosine(value: float) -> str:
    """Return a cosine; only equality is shown as 1."""
    text = f"{value:.5f}"
    return "0.99999" if value < 1 and text == "1.00000" else text


def shape(sizes: tuple[int | str, ...]) -> str:
    """Return a shape such as ``batch x 1 x 32 x 32``."""
    return " x ".join(map(str, sizes)) or "scalar"


def shortened(names: tuple[str, ...], count: int = 8) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more (--json lists all)" if more > 0 else "")
