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
    assert len(root.findall(f"{space}circle")) == 8


def test_nothing_to_show():
    assert svg_file(Plot("t", "x", "y", ())) == ""
