# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository keeps its own rules, and each rule is able to find fault.

For each rule the tree below is tidy; each negative control changes one thing in it and expects that rule, by name, to
say so. A rule without a control fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tidy.rules import RULES
from tidy.tree import Tree

ROOT = Path(__file__).resolve().parents[2]
SPDX = "# SPDX-License-Identifier: GPL-3.0-or-later\n"
C_SPDX = "/* SPDX-License-Identifier: GPL-3.0-or-later */\n"
MODULE_LICENCE = "# GNU General Public License v3.0+ (see COPYING)\n"
DOCUMENTATION = 'DOCUMENTATION = r"""\na: 1\n"""\nEXAMPLES = r"""\n"""\nRETURN = r"""\n"""\n'
MODULE = MODULE_LICENCE + DOCUMENTATION
C_FUNCTION = "int ib_one(int a)\n{\n    IB_ASSERT(a);\n    IB_ASSERT(a > 1);\n    return a;\n}\n"
TASK = SPDX + "- name: Do it\n  ironbook.trading.thing:\n    a: 1\n"

BEGIN = "- name: Check\n  import_playbook: ironbook.trading.preflight\n"
HOSTS = "  hosts: \"{{ 'all' | ironbook.trading.after_preflight }}\"\n"
FIRST = "  hosts: \"{{ 'localhost' | ironbook.trading.until_preflight }}\"\n"
PREFLIGHT = SPDX + "- name: Check\n" + FIRST + "  tags: [always]\n"
SITE = SPDX + BEGIN + "- name: Site\n" + HOSTS + "  roles:\n    - role: ironbook.trading.one\n"
TIDY = {
    "README.md": "Run `ironbook.trading.site`, which begins with `preflight`.\n",
    "meta/runtime.yml": SPDX + "action_groups:\n  all: [thing, thing_info]\n",
    "playbooks/preflight.yml": PREFLIGHT,
    "playbooks/site.yml": SITE,
    "roles/one/README.md": "One.\n",
    "roles/one/defaults/main.yml": SPDX + "\n# How many.\none_count: 1\n",
    "roles/one/meta/argument_specs.yml": SPDX
    + "argument_specs:\n  main:\n    options:\n      one_count: {type: int}\n",
    "roles/one/meta/main.yml": SPDX,
    "roles/one/tasks/main.yml": TASK,
    "inventories/local/hosts.yml": SPDX + "all:\n  hosts:\n    localhost:\n      one_count: 2\n",
    "inventories/local/aws_ec2.yml": SPDX + "plugin: amazon.aws.aws_ec2\n",
    "plugins/modules/thing.py": MODULE,
    "plugins/modules/thing_info.py": MODULE,
    "plugins/module_utils/thing/plan.py": SPDX,
    "tests/unit/plugins/modules/test_thing.py": SPDX,
    "tests/unit/plugins/modules/test_thing_info.py": SPDX,
    "services/ironbook/cli.py": SPDX + "import argparse\n",
    "engine_native/src/book.c": C_SPDX + '#include "book.h"\n' + C_FUNCTION,
    "engine_native/src/book_check.c": C_SPDX + C_FUNCTION,
    "engine_native/tests/test_book.c": C_SPDX,
}

# rule -> (file, its text in an untidy tree, or None where the file is missing)
UNTIDY: dict[str, list[tuple[str, str | None]]] = {
    "files_are_short": [
        ("roles/one/tasks/main.yml", TASK + "# more\n" * 60),
        ("engine_native/src/book.c", C_SPDX + "int a;\n" * 450),
        ("services/ironbook/cli.py", SPDX + "a = 1\n" * 500),
    ],
    "plugins_hold_little_code": [("plugins/modules/thing.py", MODULE + "a = 1\n" * 151)],
    "c_functions_are_short": [
        ("engine_native/src/book.c", C_SPDX + C_FUNCTION.replace("    return", "    a++;\n" * 65 + "    return")),
    ],
    "c_lines_are_short": [
        ("engine_native/src/book.c", C_SPDX + C_FUNCTION.replace("    return", f"    /* {'a' * 111} */\n    return")),
        ("engine_native/tests/world.h", C_SPDX + f"/* {'a' * 115} */\n"),
    ],
    "c_asserts_what_it_relies_on": [("engine_native/src/book.c", C_SPDX + C_FUNCTION.replace("IB_ASSERT(a);", ";"))],
    "c_files_are_tested": [("engine_native/tests/test_book.c", None)],
    "book_knows_no_outside_world": [("engine_native/src/book.c", C_SPDX + "#include <time.h>\n" + C_FUNCTION)],
    "services_do_not_know_ansible": [
        ("services/ironbook/cli.py", SPDX + "from ansible_collections.ironbook.trading.plugins import x\n"),
        ("services/ironbook/cli.py", SPDX + "import ansible.errors\n"),
    ],
    "plugins_do_not_sleep": [
        ("plugins/module_utils/thing/plan.py", SPDX + "import time\ntime.sleep(1)\n"),
        ("plugins/modules/thing.py", MODULE + "from time import monotonic, sleep\n"),
    ],
    "roles_are_complete": [
        ("roles/one/README.md", None),
        ("roles/one/meta/argument_specs.yml", None),
        ("roles/one/defaults/main.yml", None),
    ],
    "defaults_are_explained": [("roles/one/defaults/main.yml", SPDX + "one_count: 1\n")],
    "variables_are_declared": [
        ("roles/one/defaults/main.yml", SPDX + "# How many.\none_cuont: 1\n"),
        ("inventories/local/hosts.yml", SPDX + "all:\n  children:\n    a:\n      vars:\n        one_cuont: 2\n"),
        ("inventories/local/group_vars/all/one.yml", SPDX + "one_cuont: 2\n"),
        ("inventories/local/group_vars/all/one.yml", SPDX + "tags: {}\n"),
        ("inventories/profiles/one.yml", SPDX + "one_cuont: 2\n"),
    ],
    "names_are_fully_qualified": [
        ("roles/one/tasks/main.yml", TASK.replace("ironbook.trading.thing", "thing")),
        ("roles/one/tasks/main.yml", SPDX + "- name: A\n  block:\n    - name: B\n      copy:\n        src: a\n"),
        ("roles/one/tasks/main.yml", SPDX + "- name: A\n  ansible.builtin.include_role:\n    name: two\n"),
        ("playbooks/site.yml", SPDX + "- name: Site\n  import_playbook: other.yml\n"),
        ("playbooks/site.yml", SPDX + "- name: Site\n  hosts: all\n  roles: [one]\n"),
    ],
    "tasks_hide_nothing": [
        ("roles/one/tasks/main.yml", TASK + "  ignore_errors: true\n"),
        ("roles/one/tasks/main.yml", TASK + "  changed_when: true\n"),
        ("roles/one/handlers/main.yml", SPDX + "- name: A\n  ansible.builtin.shell: ls\n"),
        ("molecule/default/converge.yml", SPDX + "- hosts: all\n  tasks:\n    - ansible.builtin.shell: ls\n"),
    ],
    "playbooks_hold_hosts_roles_and_tags": [
        ("playbooks/site.yml", TIDY["playbooks/site.yml"] + "  vars:\n    a: 1\n"),
        ("playbooks/site.yml", TIDY["playbooks/site.yml"] + "  tasks: []\n"),
    ],
    "plays_come_after_preflight": [
        ("playbooks/site.yml", SITE.replace(BEGIN, "")),
        ("playbooks/site.yml", SITE.replace("trading.preflight", "trading.site")),
        ("playbooks/site.yml", SITE.replace("trading.preflight", "trading.other")),
        ("playbooks/site.yml", SITE.replace(HOSTS, "  hosts: all\n")),
        ("playbooks/site.yml", SITE.replace(" }}", " or 'all' }}")),
        ("playbooks/preflight.yml", None),
        ("playbooks/preflight.yml", PREFLIGHT.replace("[always]", "[preflight]")),
        ("playbooks/preflight.yml", PREFLIGHT.replace("  tags: [always]\n", "")),
        ("playbooks/preflight.yml", PREFLIGHT.replace(FIRST, "  hosts: never\n")),
    ],
    "playbooks_are_in_the_readme": [("README.md", "Nothing.\n"), ("playbooks/site2.yml", SPDX)],
    "modules_are_complete": [
        ("plugins/modules/thing.py", MODULE_LICENCE),
        ("plugins/modules/thing_info.py", None),
        ("tests/unit/plugins/modules/test_thing.py", None),
        ("meta/runtime.yml", SPDX + "action_groups:\n  all: [thing]\n"),
    ],
    "files_have_a_licence": [
        ("services/ironbook/cli.py", "import argparse\n"),
        ("engine_native/src/book.c", C_FUNCTION),
        ("plugins/modules/thing.py", SPDX + DOCUMENTATION),
    ],
    "files_are_clean": [
        ("README.md", "Run `ironbook.trading.site`. \n"),
        ("README.md", "Run `ironbook.trading.site`."),
        ("playbooks/a-b.yml", SPDX),
        ("inventories/local/hosts.yaml", SPDX),
    ],
    "files_belong_here": [
        ("README.md", "x" * 200_001 + "\n"),
        ("README.md", "see /wor" + "k/main\n"),
        ("README.md", "https://py" + "pi.org/simple\n"),
        ("services/link", "-> ironbook"),
    ],
}
CONTROLS = [(name, path, text) for name, changes in UNTIDY.items() for path, text in changes]


def write(root: Path, files: dict[str, str]) -> Tree:
    """Make a tree; a text that begins with an arrow is a symbolic link."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text.removeprefix("-> "))
        else:
            path.write_text(text)
    return Tree(root)


@pytest.fixture(scope="module")
def repository() -> Tree:
    """Read the checkout once for all rules."""
    return Tree(ROOT)


@pytest.mark.parametrize("name", RULES)
def test_repository_keeps_the_rule(repository: Tree, name: str) -> None:
    """The checkout breaks no rule."""
    violations = list(RULES[name](repository))
    assert not violations, f"{RULES[name].__doc__}\n" + "\n".join(violations)


@pytest.mark.parametrize("name", RULES)
def test_rule_is_content_with_a_tidy_tree(tmp_path: Path, name: str) -> None:
    """A rule that complains about everything would have no negative control worth the name."""
    assert list(RULES[name](write(tmp_path, TIDY))) == []


@pytest.mark.parametrize(("name", "path", "text"), CONTROLS)
def test_rule_finds_fault(tmp_path: Path, name: str, path: str, text: str | None) -> None:
    """One thing is changed in the tidy tree; the rule names the file or what misses it."""
    files = {**TIDY, path: text} if text is not None else {k: v for k, v in TIDY.items() if k != path}
    assert list(RULES[name](write(tmp_path, {k: v for k, v in files.items() if v is not None})))


def test_every_rule_has_a_control() -> None:
    """A new rule comes with a tree that it must find fault with."""
    assert RULES.keys() == UNTIDY.keys()
