"""Lines over two logarithmic axes, as SVG: a small picture for each case."""

import math
from collections.abc import Mapping, Sequence
from html import escape

Line = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, TOP = 250, 190, 52, 30
COLUMNS = 3
COLOURS = ("#1f6feb", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#57606a")


def svg(title: str, pictures: Mapping[str, Mapping[str, Line]], x: str, y: str) -> str:
    """Pictures by their titles, each with lines by their names; a name has one colour in all of them."""
    names = list(dict.fromkeys(name for lines in pictures.values() for name in lines))
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    rows = math.ceil(len(pictures) / COLUMNS)
    width, height = COLUMNS * (WIDTH + LEFT), rows * (HEIGHT + TOP + 30) + 24 * (len(names) // 3 + 1) + 20
    box = f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" role="img"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {box}><title>{escape(title)}</title>']
    parts.append('<rect width="100%" height="100%" fill="#ffffff"/>')
    for at, name in enumerate(names):
        left, top = 20 + at % 3 * (width // 3), 18 + at // 3 * 20
        parts.append(f'<rect x="{left}" y="{top - 8}" width="14" height="4" fill="{colours[name]}"/>')
        parts.append(f'<text x="{left + 20}" y="{top - 2}">{escape(name)}</text>')
    start = 24 * (len(names) // 3 + 1)
    for at, (case, lines) in enumerate(pictures.items()):
        left, top = LEFT + at % COLUMNS * (WIDTH + LEFT), start + TOP + at // COLUMNS * (HEIGHT + TOP + 30)
        parts += _picture(case, lines, colours, left, top)
    parts.append(
        f'<text x="{width // 2}" y="{height - 6}" text-anchor="middle" fill="#57606a">{escape(x)}; {escape(y)}</text></svg>'
    )
    return "\n".join(parts) + "\n"


def _picture(
    case: str, lines: Mapping[str, Line], colours: Mapping[str, str], left: int, top: int
) -> list[str]:
    points = [point for line in lines.values() for point in line]
    width, height = WIDTH - 20, HEIGHT - 10
    low_x, high_x = (math.log10(end(x for x, _ in points)) for end in (min, max))
    low_y, high_y = (
        math.floor(math.log10(min(y for _, y in points))),
        math.ceil(math.log10(max(y for _, y in points))),
    )
    span_x, span_y = high_x - low_x or 1, max(1, high_y - low_y)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (math.log10(x) - low_x) / span_x * width, top + height - (
            math.log10(y) - low_y
        ) / span_y * height

    parts = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{escape(case)}</text>']
    for power in range(low_y, low_y + span_y + 1):
        _, at = place(10**low_x, 10.0**power)
        parts.append(f'<line x1="{left}" y1="{at:.1f}" x2="{left + width}" y2="{at:.1f}" stroke="#d0d7de"/>')
        parts.append(
            f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end" fill="#57606a">{10.0**power:g}</text>'
        )
    for x in sorted({x for x, _ in points}):
        at, _ = place(x, 10.0**low_y)
        parts.append(
            f'<text x="{at:.1f}" y="{top + height + 16}" text-anchor="middle" fill="#57606a">{_short(x)}</text>'
        )
    for name, line in lines.items():
        drawn = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(x, y) for x, y in line))
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        for x, y in line:
            a, b = place(x, y)
            parts.append(
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colours[name]}"><title>{escape(name)}: {y:.3g}</title></circle>'
            )
    return parts


def _short(number: float) -> str:
    return (
        f"{number / 1e6:g} M" if number >= 1e6 else f"{number / 1e3:g} k" if number >= 1e3 else f"{number:g}"
    )
