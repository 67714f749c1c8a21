"""The picture of a benchmark."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.bench.plot import Panel, nice, picture

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("greatest", "end"), [(1, 1), (8, 10), (350, 500), (400, 500), (230, 250), (61_000, 100_000)])
def test_an_axis_ends_at_a_round_number(greatest: float, end: float) -> None:
    """It is the least round number that is not below the greatest value."""
    assert nice(greatest) == end


def test_an_axis_of_nothing_is_an_error() -> None:
    """A benchmark that measured 0 has no picture."""
    with pytest.raises(ValueError, match="above 0"):
        nice(0)


def test_a_picture_shows_each_value_once() -> None:
    """Each value has its dot, in its panel, higher values higher; the bar is drawn; texts are escaped."""
    panels = [Panel("a < b", "x", [1, 2, 4], [10, 30, 20], bar=40), Panel("c", "y", [1, 2], [1, 2])]
    document = ET.fromstring(picture(panels))  # noqa: S314 — our own
    groups = document.findall(f"{SVG}g")
    dots = [[float(dot.attrib["cy"]) for dot in group.findall(f"{SVG}circle")] for group in groups]
    assert [len(of_panel) for of_panel in dots] == [3, 2]
    assert dots[0][1] < dots[0][2] < dots[0][0]
    assert [len(group.findall(f"{SVG}line[@stroke-dasharray]")) for group in groups] == [1, 0]
    assert "a < b" in [text.text for text in document.iter(f"{SVG}text")]
