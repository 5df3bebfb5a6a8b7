# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the roles are what the roles say."""

from __future__ import annotations

import role_docs


def test_each_role_has_its_page_and_each_page_says_what_its_role_says() -> None:
    made = role_docs.pages()
    assert {path.name: path.read_text(encoding="utf-8") for path in role_docs.PAGES.glob("*.md")} == made, (
        "run: make role-docs"
    )
    assert len(made) == len(role_docs.roles()) + 1 > 40


def test_a_page_names_every_variable_with_its_default_and_every_output() -> None:
    for role in role_docs.roles():
        page = role_docs.page(role)
        for spec in role_docs.read(role / "meta" / "argument_specs.yml")["argument_specs"].values():
            for name in spec.get("options", {}):
                assert f"\n| `{name}` |" in page
        for name in role_docs.read(role / "meta" / "outputs.yml") or ():
            assert f"\n| `{name}` |" in page


def test_ansible_s_markup_becomes_markdown_s() -> None:
    assert (
        role_docs.plain(["Makes O(one), V(two)", "and C(a|b), as I(said)."])
        == "Makes `one`, `two` and `a|b`, as *said*."
    )
    assert role_docs.cell("`a|b`") == "`a\\|b`"
