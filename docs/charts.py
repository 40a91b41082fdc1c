"""Small charts as SVG: bars or columns with their values written out, legible in light and dark."""

from collections.abc import Sequence
from html import escape

_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.v{fill:#57606a}rect{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.v{fill:#9da7b1}rect{fill:#4493f8}}"
)
_WIDTH = 640
_LABEL_WIDTH = 130
_VALUE_WIDTH = 60
_ROW_HEIGHT = 24
_COLUMNS_HEIGHT = 150
_LABELLED_COLUMNS = 8

type Point = tuple[str, float]


def bars(title: str, points: Sequence[Point]) -> str:
    """Draw one horizontal bar a point, longest for the largest value."""
    longest = _WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
    largest = _largest(points)
    parts = []
    for number, (label, value) in enumerate(points):
        y, length = 8 + number * _ROW_HEIGHT, round(longest * value / largest, 1)
        parts += [
            f'<text x="{_LABEL_WIDTH - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL_WIDTH}" y="{y + 2}" width="{max(length, 1)}" height="16" rx="2"/>',
            f'<text class="v" x="{_LABEL_WIDTH + length + 6}" y="{y + 14}">{value:g}</text>',
        ]
    return _svg(title, 16 + len(points) * _ROW_HEIGHT, parts)


def columns(title: str, points: Sequence[Point]) -> str:
    """Draw one column a point, over the whole width. Some are labelled below, the largest has its value above."""
    step, largest = _WIDTH / len(points), _largest(points)
    highest = max(range(len(points)), key=lambda number: points[number][1])
    labelled = range(0, len(points), -(-len(points) // _LABELLED_COLUMNS))
    parts = []
    for number, (label, value) in enumerate(points):
        x, height = round(step * number, 1), round(_COLUMNS_HEIGHT * value / largest, 1)
        top, middle = round(20 + _COLUMNS_HEIGHT - height, 1), round(x + step / 2, 1)
        parts.append(f'<rect x="{x + 1}" y="{top}" width="{round(step - 2, 1)}" height="{max(height, 1)}" rx="2"/>')
        if number == highest:
            parts.append(f'<text class="v" x="{middle}" y="{top - 4}" text-anchor="middle">{value:g}</text>')
        if number in labelled:
            # In the middle below the first or the last column, a label would be cut off.
            place, anchor = (x, "start") if number == 0 else (middle, "middle")
            if number == len(points) - 1:
                place, anchor = x + step, "end"
            parts.append(f'<text x="{place}" y="{_COLUMNS_HEIGHT + 36}" text-anchor="{anchor}">{escape(label)}</text>')
    return _svg(title, _COLUMNS_HEIGHT + 44, parts)


def _largest(points: Sequence[Point]) -> float:
    return max((value for _, value in points), default=0.0) or 1.0


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    inner = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{inner}\n</svg>\n"
    )
