# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/roles/, a page for each role, made from its argument_specs, defaults and outputs, so that nothing is said twice.

`make role-docs` runs this file as a program; a test makes the pages again and compares.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "roles"
MADE = (
    "*Made by `make role-docs` from the role's `meta/argument_specs.yml`, `defaults/main.yml` and `meta/outputs.yml`.*"
)
# Of Ansible's markup, those that a role uses: O(option), V(value), C(code), I(emphasis), B(bold).
MARKUP = {"O": "`", "V": "`", "C": "`", "I": "*", "B": "**"}


def roles() -> list[Path]:
    """The roles, by name."""
    return sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))


def read(path: Path) -> Any:
    """What a file of YAML says; nothing where there is none."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def plain(text: str | list[str]) -> str:
    """Ansible's markup as Markdown's, sentences in one line."""
    said = " ".join(text) if isinstance(text, list) else str(text)
    return re.sub(r"\b([OVCIB])\((.+?)\)", lambda found: MARKUP[found[1]] + found[2] + MARKUP[found[1]], said).strip()


def cell(text: str) -> str:
    """For a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def type_of(option: dict[str, Any]) -> str:
    """A type as argument_specs names it, with what it consists of or may be."""
    said = option.get("type", "str")
    if "elements" in option:
        said += f" of {option['elements']}"
    if "choices" in option:
        said += ": " + ", ".join(f"`{choice}`" for choice in option["choices"])
    return said


def as_written(value: Any) -> str:
    """A default as its file has it, in one line."""
    if isinstance(value, str) and value:
        return f"`{' '.join(value.split())}`"
    said = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("...\n").strip()
    return f"`{said}`"


def page(role: Path) -> str:
    """Make the page of a role."""
    specs = read(role / "meta" / "argument_specs.yml")["argument_specs"]
    defaults = read(role / "defaults" / "main.yml") or {}
    outputs = read(role / "meta" / "outputs.yml") or {}
    parts = [f"<!-- SPDX-License-Identifier: GPL-3.0-or-later -->\n# {role.name}\n", MADE]
    parts.append(f"Why and how: [README](../../roles/{role.name}/README.md).\n")
    for entry, spec in specs.items():
        heading = spec["short_description"].rstrip(".")
        parts.append(f"## {heading}" + ("" if entry == "main" else f" (`tasks_from: {entry}`)") + "\n")
        lines = spec.get("description", [])
        parts.append(plain(lines) + "\n" if lines else "")
        options = spec.get("options", {})
        if options:
            parts.append("| variable | type | default | what it says |\n|---|---|---|---|")
        for name, option in options.items():
            default = (
                as_written(defaults[name]) if name in defaults else "**required**" if option.get("required") else ""
            )
            row = (f"`{name}`", type_of(option), default, plain(option.get("description", "")))
            parts.append("| " + " | ".join(map(cell, row)) + " |")
    if outputs:
        parts.append("\n## Outputs\n\n| output | what it is |\n|---|---|")
        parts += [f"| `{name}` | {cell(plain(output['description']))} |" for name, output in outputs.items()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def index() -> str:
    """Make the list of the pages."""
    lines = [
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->\n# The roles\n",
        f"{MADE}\n",
        "| role | what for |\n|---|---|",
    ]
    for role in roles():
        said = read(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["short_description"]
        lines.append(f"| [{role.name}]({role.name}.md) | {cell(plain(said))} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    return {"README.md": index()} | {f"{role.name}.md": page(role) for role in roles()}


def write() -> None:
    """Write them, and remove those of roles that are no more."""
    PAGES.mkdir(exist_ok=True)
    made = pages()
    for path in PAGES.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    print(f"docs/roles: {len(made)} pages")


if __name__ == "__main__":
    write()
