"""Numbers as people read them: few digits, fixed widths, and a dash for what is not known or not finite."""

from __future__ import annotations

import math
from typing import Any

DASH = "–"


def known(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def percent(value: Any, digits: int = 1) -> str:
    """0.784 as `78.4 %`. Never rounds to 0 or 100 what is not."""
    number = known(value)
    if number is None:
        return DASH
    text = f"{100 * number:.{digits}f}"
    if number < 1 and float(text) >= 100:
        text = f"{math.floor(100 * number * 10**digits) / 10**digits:.{digits}f}"
    return f"{text} %"


def share(value: Any) -> str:
    """0.9 as `90 %`, 0.985 as `98.5 %`: a target as it was written."""
    number = known(value)
    return DASH if number is None else f"{100 * number:.4g} %"


def metric(value: Any) -> str:
    """An accuracy as `.972`; what is not between 0 and 1 with four digits."""
    number = known(value)
    if number is None:
        return DASH
    if 0 <= number < 1:
        text = f"{number:.3f}"
        return text[1:] if text.startswith("0") else text
    return f"{number:.3f}" if number == 1 else f"{number:.4g}"


def change(value: Any) -> str:
    """A difference with its sign, `-.006`."""
    number = known(value)
    if number is None:
        return DASH
    if abs(number) < 0.0005:
        return "±.000"
    return ("+" if number > 0 else "-") + metric(abs(number))


def loss(value: Any) -> str:
    """A loss as `.104` or `12.3`."""
    number = known(value)
    if number is None:
        return DASH
    if abs(number) < 1:
        return f"{number:.3f}".replace("0.", ".", 1)
    return f"{number:.2f}" if abs(number) < 100 else f"{number:.3g}"


def any_number(value: Any) -> str:
    """A number whose meaning is not known, in at most seven cells or so."""
    number = known(value)
    if number is None:
        return DASH
    if number == int(number) and abs(number) < 1e7:
        return f"{int(number):,}"
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e7 else f"{number:.4g}"


def count(value: Any) -> str:
    """A whole number with commas."""
    number = known(value)
    return DASH if number is None else f"{round(number):,}"


def size(value: Any) -> str:
    """Bytes as `31 kB`, `1.2 MB` (powers of 1000)."""
    number = known(value)
    if number is None:
        return DASH
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 999.5 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" or number >= 9.95 else f"{number:.1f} {unit}"


def times(value: Any) -> str:
    """A ratio as `6.6x`."""
    number = known(value)
    if number is None:
        return DASH
    return f"{number:.1f}x" if number < 99.5 else f"{number:,.0f}x"


def ratio(whole: Any, part: Any) -> str:
    """`whole / part` as `6.6x`, a dash where it cannot be said."""
    first, second = known(whole), known(part)
    return DASH if first is None or not second else times(first / second)


def milliseconds(value: Any) -> str:
    """A time in milliseconds with three digits."""
    number = known(value)
    if number is None:
        return DASH
    return f"{number:,.0f} ms" if number >= 999.5 else f"{f'{number:#.3g}'.rstrip('.')} ms"


def clock(seconds: Any) -> str:
    """A duration as `0:12` or `1:02:03`."""
    number = known(seconds)
    if number is None:
        return DASH
    whole = max(0, math.ceil(number))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def time_of_day(when: float) -> str:
    """Seconds since the epoch as local `14:02:11`."""
    import time

    return time.strftime("%H:%M:%S", time.localtime(when))


def shape(of: tuple[int, ...]) -> str:
    """A kernel's shape as `3x3x16x32`."""
    return "x".join(map(str, of))
