"""A row of small plots as one SVG; pure, and without any library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 260, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 18, 34, 40
_TICKS = 4


@dataclass(frozen=True)
class Panel:
    """One plot: `values` over `at`, both from 0 on; `bar`: a line that the values have to stay below."""

    title: str
    axis: str
    at: Sequence[float]
    values: Sequence[float]
    bar: float | None = None


def nice(greatest: float) -> float:
    """The end of an axis: the least of 1, 2, 2.5, 5 × 10ⁿ that is not below `greatest`. Errors: ValueError below 0."""
    if greatest <= 0:
        raise ValueError("an axis needs something above 0")
    power = 10.0 ** (len(str(int(greatest))) - 1)
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= greatest)


def picture(panels: Sequence[Panel]) -> str:
    """All panels side by side, as an SVG document."""
    width = _WIDTH * len(panels)
    size = f'width="{width}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect {size} fill="#fff"/>',
    ]
    for place, panel in enumerate(panels):
        parts += [f'<g transform="translate({place * _WIDTH},0)">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    top, right = nice(max(*panel.values, panel.bar or 0)), nice(max(panel.at))
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def point(at: float, value: float) -> tuple[float, float]:
        return round(_LEFT + across * at / right, 1), round(_TOP + down * (1 - value / top), 1)

    lines = [f'<text x="{_LEFT}" y="18" font-weight="bold">{escape(panel.title)}</text>']
    for tick in range(_TICKS + 1):
        _, y = point(0, top * tick / _TICKS)
        lines += [
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 5}" y="{y + 4}" text-anchor="end">{top * tick / _TICKS:,.0f}</text>',
        ]
    if panel.bar is not None:
        _, y = point(0, panel.bar)
        lines.append(
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#c33" stroke-dasharray="5 3"/>'
        )
    points = [point(at, value) for at, value in zip(panel.at, panel.values, strict=True)]
    path = " ".join(f"{x},{y}" for x, y in points)
    lines.append(f'<polyline points="{path}" fill="none" stroke="#26a" stroke-width="2"/>')
    lines += [f'<circle cx="{x}" cy="{y}" r="3" fill="#26a"/>' for x, y in points]
    lines += [
        f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{at:g}</text>'
        for (x, _), at in zip(points, panel.at, strict=True)
    ]
    middle = _LEFT + across / 2
    return [*lines, f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(panel.axis)}</text>']
