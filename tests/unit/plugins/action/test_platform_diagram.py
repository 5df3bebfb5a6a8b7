# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of an environment: drawn from its inventory, with what each role makes, and the same in both files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils import diagram

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "infrastructure_diagram" / "production"
SVG = "{http://www.w3.org/2000/svg}"


def draw(path: Path, inventory: Path, *options: str) -> str:
    """Run the playbook, without an endpoint or credentials of AWS."""
    without = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        "-i",
        str(inventory / "hosts.yml"),
        "ironbook.trading.diagram",
    ]
    done = subprocess.run(
        [*command, "-e", f"diagram={path}", *options],
        cwd=ROOT,
        env=without | {"ANSIBLE_HOME": str(path.parent / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def boxes(path: Path) -> dict[str, str]:
    """Id -> text of each box of the draw.io file."""
    cells = ElementTree.parse(f"{path}.drawio").iter("mxCell")
    return {cell.attrib["id"]: cell.attrib["value"] for cell in cells if cell.get("vertex")}


@pytest.mark.slow
@pytest.mark.feature("OPS-05", by="U")
def test_the_pictures_are_what_production_s_inventory_describes(tmp_path: Path) -> None:
    draw(tmp_path / "production", ROOT / "inventories" / "production")
    for ending in ("svg", "drawio"):
        made = (tmp_path / f"production.{ending}").read_text()
        assert (PAGE.with_suffix(f".{ending}")).read_text() == made, (
            "docs/infrastructure_diagram/README.md: draw it again"
        )
    assert "changed=0" in draw(tmp_path / "production", ROOT / "inventories" / "production", "--check")


@pytest.mark.feature("OPS-05", by="U")
def test_each_role_that_makes_something_is_in_the_picture() -> None:
    makers = {path.parents[1] for path in ROOT.glob("roles/*/meta/outputs.yml")}
    assert len(makers) >= 11
    assert [role.name for role in makers if not (role / "meta" / "diagram.yml").exists()] == []
    there = boxes(PAGE)
    for said in (
        "VPC 10.0.0.0/16", "private 10.0.3.0/24", "engine-0-2", "production-trading-engine-database", "KMS key",
        "10 shards, 168 h", "S3 bucket with Object Lock", "transit gateway", "203.0.113.10, AS 65010", "IAM role",
        "placement group production-trading-engine-us-east-1b", "security groups", "DynamoDB table", "NAT gateway",
    ):  # fmt: skip
        assert any(said in text for text in there.values()), said


@pytest.mark.feature("OPS-05", by="U")
def test_both_files_parse_and_have_the_same_boxes_at_the_same_places() -> None:
    drawing = ElementTree.parse(f"{PAGE}.svg").getroot()
    groups = {group.attrib["id"]: group for group in drawing.iter(f"{SVG}g")}
    cells = {
        cell.attrib["id"]: cell for cell in ElementTree.parse(f"{PAGE}.drawio").iter("mxCell") if cell.get("vertex")
    }
    assert groups.keys() == cells.keys() and len(groups) > 30
    for name, group in groups.items():
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        place = next(cells[name].iter("mxGeometry")).attrib
        x, y, around = float(place["x"]), float(place["y"]), cells[name].attrib["parent"]
        while around != "1":
            outer = next(cells[around].iter("mxGeometry")).attrib
            x, y, around = x + float(outer["x"]), y + float(outer["y"]), cells[around].attrib["parent"]
        assert float(rect.attrib["x"]) == pytest.approx(x + diagram.MARGIN, abs=0.5)
        assert float(rect.attrib["y"]) == pytest.approx(y + diagram.MARGIN, abs=0.5)
        assert (rect.attrib["width"], rect.attrib["height"]) == (place["width"], place["height"])


def test_no_box_leaves_the_one_around_it_or_lies_on_another() -> None:
    outermost = diagram.arrange(diagram.tree([
        {"id": "a", "title": "all", "across": True},
        {"id": "b", "in": "a", "title": "one", "says": ["a line that is rather long, for one of its kind"]},
        {"id": "c", "in": "a", "title": "two"},
        *({"id": f"c{n}", "in": "c", "title": f"inner {n}", "across": True} for n in range(3)),
        {"id": "d", "in": "c1", "title": "left"},
        {"id": "e", "in": "c1", "title": "right"},
    ]))  # fmt: skip
    for box, *_ in diagram.walk(outermost):
        for number, inner in enumerate(box.boxes):
            assert inner.x >= diagram.GAP and inner.x + inner.width <= box.width - diagram.GAP + 0.1, inner.id
            assert inner.y >= box.head and inner.y + inner.height <= box.height - diagram.GAP + 0.1, inner.id
            for other in box.boxes[:number]:
                apart = other.x + other.width <= inner.x or other.y + other.height <= inner.y
                assert apart, (other.id, inner.id)


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [
        ([{"id": "a", "title": "A"}, {"id": "a", "title": "B", "in": "a"}], "two boxes have the id a"),
        ([{"id": "a", "title": "A"}, {"id": "b", "title": "B", "in": "x"}], "box b is in x, which is not there"),
        ([{"id": "a", "title": "A"}, {"id": "b", "title": "B"}], "one box is around all others, not 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(declared: list[dict[str, str]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        diagram.tree(declared)
