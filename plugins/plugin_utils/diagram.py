# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws boxes within boxes, and lines between them, as SVG and as a draw.io file, from the same places of both.

A box is a title, some lines of text, and the boxes in it, side by side or one below the other. All lengths are in the
pixels of the picture. It knows nothing of AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

GAP = 14
LINE = 17
LETTER = 6.6  # the mean width of a letter of 12 px, sans-serif
MARGIN = 20
FILLS = ("#ffffff", "#f2f6fb", "#e4edf7", "#d5e3f2", "#ffffff")  # by depth; the fifth is also that of deeper ones
INK, EDGE = "#16324f", "#5b7c9d"


@dataclass
class Box:
    """A box; its place, once `arrange` has found it, is that in the box around it."""

    id: str
    title: str
    says: list[str] = field(default_factory=list)
    across: bool = False
    boxes: list[Box] = field(default_factory=list)
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0

    @property
    def head(self) -> float:
        """Height of its own text."""
        return LINE * (1 + len(self.says)) + GAP


@dataclass(frozen=True)
class Line:
    """A line between two boxes."""

    start: str
    end: str
    says: str = ""


def tree(declared: Sequence[Mapping[str, Any]]) -> Box:
    """Put the boxes into each other: `id`, `title`, `says`, `across`, and `in`, the id of the box around it.

    Raises ValueError for an id that is there twice, for a box whose `in` is nowhere, and for none or several without.
    """
    boxes: dict[str, Box] = {}
    for each in declared:
        if each["id"] in boxes:
            raise ValueError(f"two boxes have the id {each['id']}")
        boxes[each["id"]] = Box(each["id"], each["title"], list(each.get("says", ())), bool(each.get("across")))
    for each in declared:
        if "in" in each:
            if each["in"] not in boxes:
                raise ValueError(f"box {each['id']} is in {each['in']}, which is not there")
            boxes[each["in"]].boxes.append(boxes[each["id"]])
    outermost = [boxes[each["id"]] for each in declared if "in" not in each]
    if len(outermost) != 1:
        raise ValueError(f"one box is around all others, not {len(outermost)}")
    return outermost[0]


def arrange(box: Box) -> Box:
    """Find the size of a box and the places of those in it; of a row all are as high, of a column as wide."""
    box.width = max(len(text) for text in [box.title, *box.says]) * LETTER + 2 * GAP
    box.height = box.head + GAP / 2
    if not box.boxes:
        return box
    for each in box.boxes:
        arrange(each)
    place = float(GAP if box.across else box.head)
    for each in box.boxes:
        each.x, each.y = (place, box.head) if box.across else (GAP, place)
        place += (each.width if box.across else each.height) + GAP
    if box.across:
        box.width, box.height = max(box.width, place), box.head + max(each.height for each in box.boxes) + GAP
    else:
        box.width, box.height = max(box.width, max(each.width for each in box.boxes) + 2 * GAP), place
    stretch(box)
    return box


def stretch(box: Box) -> None:
    """Let the boxes in a box fill it, across its direction; those in them as well."""
    for each in box.boxes:
        if box.across:
            each.height = box.height - box.head - GAP
        else:
            each.width = box.width - 2 * GAP
        if each.across and each.boxes:
            spare = each.width - each.boxes[-1].x - each.boxes[-1].width - GAP
            for number, inner in enumerate(each.boxes):
                inner.x += number * spare / len(each.boxes)
                inner.width += spare / len(each.boxes)
        stretch(each)


def walk(box: Box, x: float = 0, y: float = 0, depth: int = 0) -> Iterator[tuple[Box, float, float, int]]:
    """Every box with its place in the picture and its depth, from the outermost inwards."""
    yield box, x + box.x, y + box.y, depth
    for each in box.boxes:
        yield from walk(each, x + box.x, y + box.y, depth + 1)


def svg(box: Box, lines: Sequence[Line]) -> str:
    """Draw an arranged box as SVG, which a browser shows and a page includes."""
    size = (box.width + 2 * MARGIN, box.height + 2 * MARGIN)
    root = Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {size[0]:.0f} {size[1]:.0f}", "width": f"{size[0]:.0f}",
        "height": f"{size[1]:.0f}", "font-family": "Helvetica, Arial, sans-serif", "font-size": "12", "role": "img",
    })  # fmt: skip
    SubElement(root, "title").text = box.title
    middles: dict[str, tuple[float, float, float]] = {}
    for each, x, y, depth in walk(box, MARGIN, MARGIN):
        middles[each.id] = (x, y + each.height / 2, each.width)
        group = SubElement(root, "g", {"id": each.id})
        SubElement(group, "rect", {
            "x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{each.width:.1f}", "height": f"{each.height:.1f}", "rx": "4",
            "fill": FILLS[min(depth, len(FILLS) - 1)], "stroke": EDGE,
        })  # fmt: skip
        for number, text in enumerate([each.title, *each.says]):
            weight = {} if number else {"font-weight": "bold"}
            at = {"x": f"{x + GAP:.1f}", "y": f"{y + LINE * (number + 1) + 2:.1f}", "fill": INK}
            SubElement(group, "text", at | weight).text = text
    for line in lines:
        (x1, y1, width1), (x2, y2, width2) = middles[line.start], middles[line.end]
        x1, x2 = (x1 + width1, x2) if x1 < x2 else (x1, x2 + width2)
        path = f"M{x1:.1f},{y1:.1f} H{(x1 + x2) / 2:.1f} V{y2:.1f} H{x2:.1f}"
        SubElement(root, "path", {"d": path, "fill": "none", "stroke": INK, "stroke-width": "2"})
        at = {"x": f"{(x1 + x2) / 2:.1f}", "y": f"{y1 - 6:.1f}", "fill": INK, "text-anchor": "middle"}
        SubElement(root, "text", at).text = line.says
    return _text(root)


def drawio(box: Box, lines: Sequence[Line]) -> str:
    """Write an arranged box as a draw.io file (mxGraphModel), in which each box can be moved with those in it."""
    root = Element("mxfile")
    model = SubElement(SubElement(root, "diagram", {"name": box.title}), "mxGraphModel", {"grid": "1", "page": "0"})
    cells = SubElement(model, "root")
    SubElement(cells, "mxCell", {"id": "0"})
    SubElement(cells, "mxCell", {"id": "1", "parent": "0"})
    around = {inner.id: each.id for each, *_place in walk(box) for inner in each.boxes}
    for each, _x, _y, depth in walk(box):
        style = f"rounded=0;whiteSpace=wrap;html=0;verticalAlign=top;align=left;spacingLeft=8;strokeColor={EDGE};"
        style += f"fontColor={INK};fillColor={FILLS[min(depth, len(FILLS) - 1)]};container={int(bool(each.boxes))};"
        attributes = {"id": each.id, "value": "\n".join([each.title, *each.says]), "style": style, "vertex": "1"}
        cell = SubElement(cells, "mxCell", attributes | {"parent": around.get(each.id, "1")})
        place = {"x": each.x, "y": each.y, "width": each.width, "height": each.height}
        said = {name: f"{value:.1f}" for name, value in place.items()}
        SubElement(cell, "mxGeometry", said | {"as": "geometry"})
    for number, line in enumerate(lines):
        style = f"edgeStyle=orthogonalEdgeStyle;html=0;strokeWidth=2;endArrow=none;strokeColor={INK};"
        ends = {"source": line.start, "target": line.end, "parent": "1", "edge": "1"}
        cell = SubElement(cells, "mxCell", {"id": f"line-{number}", "value": line.says, "style": style} | ends)
        SubElement(cell, "mxGeometry", {"relative": "1", "as": "geometry"})
    return _text(root)


def _text(root: Element) -> str:
    indent(root)
    return tostring(root, encoding="unicode") + "\n"
