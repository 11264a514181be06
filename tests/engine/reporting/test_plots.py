import xml.etree.ElementTree as ET

from engine.reporting.blocks import Plot, Series
from engine.reporting.plots import svg_file


def test_a_file_of_its_own():
    points = ((0.0, 3.0), (1.0, 3.0), (1.0, 1.0), (2.0, 1.0))
    root = ET.fromstring(svg_file(Plot("t & t", "x", "y", (Series("a", points), Series("b", points, joined=False)))))
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("width") == "560"
    assert root.find(f"{space}style") is not None
    (line,) = root.findall(f"{space}polyline")
    drawn = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
    assert drawn[0][1] == drawn[1][1] < drawn[2][1] == drawn[3][1]  # an outline falls where it fell
    marks = [e for e in root.iter() if e.get("class") == "mark"]
    assert len(marks) == 8
    assert {e.tag for e in marks[:4]} != {e.tag for e in marks[4:8]}  # told apart without colour


def test_lines_differ_in_more_than_colour():
    series = tuple(Series(f"run {i}", ((0.0, i), (1.0, i))) for i in range(8))
    root = ET.fromstring(svg_file(Plot("t", "x", "y", series)))
    space = "{http://www.w3.org/2000/svg}"
    lines = root.findall(f"{space}polyline")
    assert len({line.get("stroke-dasharray") for line in lines}) == 8
    assert float(root.get("height")) == float(root.get("viewBox").split()[3]) > 300
    marks = [e for e in root.iter() if e.get("class") == "key"]
    shapes = {(e.tag, e.get("fill") == "#fff", (e.get("d") or "m").partition("m")[2]) for e in marks}
    assert len(shapes) == 8


def test_nothing_to_show():
    assert svg_file(Plot("t", "x", "y", ())) == ""
