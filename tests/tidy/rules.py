# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository's rules that no linter knows. Each is a function of a tree that yields one line for each violation.

CONTRIBUTING.md gives the reasons. A rule is added by writing a function with @rule and a negative control for it in
test_tidy.py: a tree that it must find fault with.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

from .tree import Tree

Rule = Callable[[Tree], Iterator[str]]
RULES: dict[str, Rule] = {}

# The most lines that a file may have. The first pattern that matches counts.
LINES = {
    "engine_native/include/*.h": 300,
    "engine_native/**.h": 250,
    "engine_native/src/*.c": 450,
    "engine_native/**.c": 600,
    "roles/*/tasks/**.yml": 60,
    "roles/*/handlers/**.yml": 60,
    "playbooks/**.yml": 60,
    "tests/**.py": 600,
    "**.py": 500,
}
CODE_LINES = {"plugins/modules/*.py": 150, "plugins/module_utils/**.py": 300, "plugins/action/*.py": 150}
C_FUNCTION_LINES = 70
C_COLUMNS = 120
TASK_FILES = 10
BLOB_BYTES = 200_000
ASSERTIONS_PER_FUNCTION = 2

# What each part of a play may hold. Logic belongs in roles, values in inventories.
PLAY_KEYS = {"name", "hosts", "roles", "tags", "gather_facts", "strategy", "serial", "become", "any_errors_fatal",
             "module_defaults", "import_playbook", "order", "max_fail_percentage"}  # fmt: skip
PREFLIGHT = "ironbook.trading.preflight"
DIAGRAM = "ironbook.trading.diagram"
PREFLIGHT_HOSTS = "{{ 'localhost' | ironbook.trading.until_preflight }}"
AFTER_PREFLIGHT = re.compile(r"\|\s*ironbook\.trading\.after_preflight\s*}}\s*$")
TASK_KEYS = {"name", "when", "tags", "loop", "loop_control", "register", "changed_when", "failed_when", "notify",
             "become", "become_user", "delegate_to", "delegate_facts", "run_once", "no_log", "check_mode", "diff",
             "vars", "until", "retries", "delay", "environment", "block", "rescue", "always", "listen", "args",
             "async", "poll", "throttle", "timeout", "module_defaults", "any_errors_fatal", "become_method",
             "connection", "ignore_unreachable"}  # fmt: skip
MODULE_DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")
OWN_ROLE = {"ansible.builtin.import_role", "ansible.builtin.include_role"}

# Every inventory sets these, and roles take their defaults from them. All else is some role's own.
COLLECTION_WIDE = {"aws_account_id", "aws_region", "ironbook_environment", "ironbook_name_prefix",
                   "ironbook_state_directory", "ironbook_port_base", "ironbook_tags", "ironbook_zones",
                   "ironbook_shards", "ironbook_engine_hosts", "ironbook_shard_map_version",
                   "service_manager", "session_replay"}  # fmt: skip

# The shell of the engine is tested as a process, from outside. What such a test covers is said here, file by file.
PROCESS_TESTS = {
    "tests/integration/test_engine_sockets.py": {"admin", "event_feed", "unix_socket"},
    "tests/integration/test_engine_recovery.py": {"engine"},
    "tests/integration/test_engine_configure.py": {"directory", "matcher"},
    "tests/integration/test_engine_admin.py": {"engine_request"},
    "tests/integration/test_commands.py": {"command_feed"},
    "tests/integration/test_order_entry_session.py": {"authenticator", "gateway", "io_loop", "listen", "sequencer"},
    "tests/integration/test_shard.py": {"replication"},
}

# The core's files that know no clock, file, socket or thread: their whole world is their arguments.
PURE_C = ("pool", "price_index", "price_window", "level", "book", "book_check", "matcher",
          "replica", "replica_frame", "replica_primary", "replica_members", "replica_standby", "replica_takeover",
          "replica_store")  # fmt: skip
IMPURE_HEADERS = re.compile(r"#include <(time|unistd|fcntl|pthread|errno|sys/\w+|netinet/\w+|arpa/\w+)\.h>")

# Put together here, so that this file does not break its own rules.
MACHINE_PATHS = re.compile("|".join(("/wor" + r"k/\w", "/roo" + r"t/\w", "/hom" + r"e/(?!trading\b)[a-z]+/")))
REGISTRIES = re.compile("|".join(re.escape(f"{host}.{domain}") for host, domain in (
    ("pypi", "org"), ("pythonhosted", "org"), ("pypa", "io"), ("galaxy.ansible", "com"), ("deb.debian", "org"),
    ("npmjs", "org"), ("crates", "io"), ("docker", "io"), ("quay", "io"), ("ghcr", "io"), ("proxy.golang", "org"),
)))  # fmt: skip


def rule(function: Rule) -> Rule:
    """Add a rule to the list under its name."""
    RULES[function.__name__] = function
    return function


@rule
def files_are_short(tree: Tree) -> Iterator[str]:
    """Keep files short enough to be read in one sitting."""
    seen: set[str] = set()
    for pattern, limit in LINES.items():
        for name in set(tree.match(pattern)) - seen:
            seen.add(name)
            if (count := len(tree.lines(name))) > limit:
                yield f"{name}: {count} lines, limit {limit}"


@rule
def plugins_hold_little_code(tree: Tree) -> Iterator[str]:
    """Lines of code, without comments, blank lines, documentation and docstrings."""
    for pattern, limit in CODE_LINES.items():
        for name in tree.match(pattern):
            if (count := code_lines(tree.text(name))) > limit:
                yield f"{name}: {count} lines of code, limit {limit}"


@rule
def c_functions_are_short(tree: Tree) -> Iterator[str]:
    """Keep C functions on one screen."""
    for name in tree.match("engine_native/**.c"):
        for function, count in c_functions(tree.lines(name)):
            if count > C_FUNCTION_LINES:
                yield f"{name}: {function} has {count} lines, limit {C_FUNCTION_LINES}"


@rule
def c_lines_are_short(tree: Tree) -> Iterator[str]:
    """Keep lines of C within the columns that ruff and yamllint hold the others to."""
    for name in tree.match("engine_native/**.[ch]"):
        for number, line in enumerate(tree.lines(name), 1):
            if len(line) > C_COLUMNS:
                yield f"{name}:{number}: {len(line)} columns, limit {C_COLUMNS}"


@rule
def c_asserts_what_it_relies_on(tree: Tree) -> Iterator[str]:
    """Two assertions a function, on the average of the core."""
    functions = sum(len(c_functions(tree.lines(name))) for name in tree.match("engine_native/src/*.c"))
    sources = tree.match("engine_native/src/*.[ch]", "engine_native/include/*.h")
    pattern = re.compile(r"\b(?:IB_ASSERT|REQUIRE|static_assert|_Static_assert)\(")
    assertions = sum(len(pattern.findall(tree.text(name))) for name in sources)
    if assertions < ASSERTIONS_PER_FUNCTION * functions:
        yield f"core: {assertions} assertions in {functions} functions (wanted: {ASSERTIONS_PER_FUNCTION} each)"


@rule
def c_files_are_tested(tree: Tree) -> Iterator[str]:
    """src/<name>.c has tests/test_<name>.c, is part of one that has, or is called by one; or is tested as a process."""
    tests = {PurePosixPath(name).stem for name in tree.match("engine_native/tests/*.c")}
    called = set(re.findall(r"\b(ib_\w+)\(", "\n".join(tree.text(n) for n in tree.match("engine_native/tests/*.c"))))
    by_process = {stem for test, stems in PROCESS_TESTS.items() if test in tree.files for stem in stems}
    for name in tree.match("engine_native/src/*.c"):
        stem = PurePosixPath(name).stem
        words = stem.split("_")
        units = {"_".join(words[: count + 1]) for count in range(len(words))}
        functions = {function for function, _ in c_functions(tree.lines(name))}
        tested = units & by_process or {f"test_{unit}" for unit in units} & tests or functions & called
        if not tested:
            yield f"{name}: no engine_native/tests/test_{stem}.c, and no test calls it"


@rule
def book_knows_no_outside_world(tree: Tree) -> Iterator[str]:
    """Keep clocks, files, sockets and threads out of reach of the deterministic part."""
    for stem in PURE_C:
        for name in tree.match(f"engine_native/src/{stem}.[ch]"):
            for number, line in enumerate(tree.lines(name), 1):
                if IMPURE_HEADERS.search(line):
                    yield f"{name}:{number}: {line}"


@rule
def services_do_not_know_ansible(tree: Tree) -> Iterator[str]:
    """Playbook → role → module → module_utils → ironbook; nothing points back."""
    for name in tree.match("services/**.py", "engine_native/python/**.py"):
        for imported in imports(tree.text(name)):
            if imported.split(".")[0] in {"ansible", "ansible_collections"}:
                yield f"{name}: imports {imported}"


@rule
def plugins_do_not_sleep(tree: Tree) -> Iterator[str]:
    """They wait with waiters, whose clock a test can replace."""
    for name in tree.match("plugins/**.py"):
        if re.search(r"\btime\.sleep\(|\bfrom time import .*\bsleep\b", tree.text(name)):
            yield f"{name}: calls time.sleep"


@rule
def roles_are_complete(tree: Tree) -> Iterator[str]:
    """Whoever opens a role finds its interface, its types, its words and its table of contents."""
    for role in tree.roles:
        for part in ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml"):
            if f"roles/{role}/{part}" not in tree.files:
                yield f"roles/{role}: no {part}"
        if (count := len(tree.match(f"roles/{role}/tasks/**.yml"))) > TASK_FILES:
            yield f"roles/{role}: {count} task files, limit {TASK_FILES}"


@rule
def defaults_are_explained(tree: Tree) -> Iterator[str]:
    """Each variable of a role's defaults, or each group of them, has a comment above: the file is the interface."""
    for name in tree.match("roles/*/defaults/main.yml"):
        explained = False
        for line in tree.lines(name):
            if line.startswith("#"):
                explained = "SPDX" not in line
            elif not line.strip():
                explained = False
            elif re.match(r"[a-z_]\w*:", line) and not explained and "  #" not in line:
                yield f"{name}: {line.split(':')[0]} has no comment"


@rule
def variables_are_declared(tree: Tree) -> Iterator[str]:
    """Ansible takes a misspelt variable in silence; so each has to be declared in some role's argument_specs."""
    declared = set(COLLECTION_WIDE)
    for name in tree.match("roles/*/meta/argument_specs.yml"):
        for entry in ((tree.yaml(name) or {}).get("argument_specs") or {}).values():
            declared |= (entry.get("options") or {}).keys()
    for name, variables in assigned(tree):
        for variable in variables:
            if variable == "tags":
                yield f"{name}: a variable called tags hides the tags of every task"
            elif variable not in declared and not variable.startswith("ansible_"):
                yield f"{name}: {variable} is declared in no role's argument_specs"


@rule
def names_are_fully_qualified(tree: Tree) -> Iterator[str]:
    """Modules, roles and playbooks are named with their collection, so that nobody else's is taken instead."""
    for name, task in tree.tasks():
        for key, value in task.items():
            if key not in TASK_KEYS and not key.startswith("with_") and key.count(".") < 2:
                yield f"{name}: {key} in task {task.get('name')!r}"
            role = str((value or {}).get("name", "")) if key in OWN_ROLE else "a.b.c"
            if role.count(".") < 2 and "{{" not in role:
                yield f"{name}: role {role} in task {task.get('name')!r}"
    for name, play in plays(tree):
        roles = [
            role.get("role", role.get("name", "")) if isinstance(role, dict) else role
            for role in play.get("roles") or []
        ]
        for used in [*roles, *([play["import_playbook"]] if "import_playbook" in play else [])]:
            if str(used).count(".") < 2 or str(used).endswith(".yml"):
                yield f"{name}: {used}"


@rule
def tasks_hide_nothing(tree: Tree) -> Iterator[str]:
    """No ignored errors, no shell, and no change that is claimed whatever happened."""
    for name, task in tree.tasks():
        where = f"{name}: task {task.get('name')!r}"
        if "ignore_errors" in task:
            yield f"{where} ignores errors"
        if task.keys() & {"shell", "ansible.builtin.shell", "raw", "ansible.builtin.raw"}:
            yield f"{where} runs a shell"
        if task.get("changed_when") in (True, [True], "true", ["true"]):
            yield f"{where} says changed_when: true"


@rule
def playbooks_hold_hosts_roles_and_tags(tree: Tree) -> Iterator[str]:
    """Inventories describe, roles decide, modules act; a playbook says who does what."""
    for name, play in plays(tree):
        for key in sorted(play.keys() - PLAY_KEYS):
            yield f"{name}: play {play.get('name')!r} has {key}"


@rule
def plays_come_after_preflight(tree: Tree) -> Iterator[str]:
    """Begin each playbook with preflight, whatever tags are asked for, and let no play run unless it has passed.

    But for the one that asks nothing of AWS, nor of a host: it draws what the inventory says.
    """
    books = {book_name(name): tree.yaml(name) or [{}] for name in tree.match("playbooks/**.yml")}
    books.pop(DIAGRAM, None)
    preflight = books.pop(PREFLIGHT, [{}])
    if [(play.get("hosts"), play.get("tags")) for play in preflight] != [(PREFLIGHT_HOSTS, ["always"])]:
        yield f"playbooks/preflight.yml: not one play with hosts: {PREFLIGHT_HOSTS} and tags: [always]"
    for book, content in books.items():
        first, seen = book, set()
        while first in books and first not in seen:
            seen.add(first)
            first = books[first][0].get("import_playbook")
        if first != PREFLIGHT:
            yield f"{book} does not begin with {PREFLIGHT}, nor with a playbook that does"
        for play in content:
            if "import_playbook" not in play and not AFTER_PREFLIGHT.search(str(play.get("hosts"))):
                yield f"{book}: the hosts of play {play.get('name')!r} do not go through after_preflight"


@rule
def playbooks_are_in_the_readme(tree: Tree) -> Iterator[str]:
    """Name each playbook, which is a job that a person does, in the README."""
    readme = tree.text("README.md")
    for name in tree.match("playbooks/**.yml"):
        called = book_name(name)
        if not re.search(re.escape(called) + r"\b", readme) and f"`{called.split('.')[-1]}`" not in readme:
            yield f"{name}: README.md does not name {called}"


@rule
def modules_are_complete(tree: Tree) -> Iterator[str]:
    """Give each module documentation, a unit test, a place in the action group, and a twin that only reads."""
    groups = ((tree.yaml("meta/runtime.yml") or {}).get("action_groups") or {}).values()
    grouped = {entry for group in groups for entry in group if isinstance(entry, str)}
    for module in tree.modules:
        text = tree.text(f"plugins/modules/{module}.py")
        for block in MODULE_DOCUMENTATION:
            if not re.search(rf"^{block} = r?(\"\"\"|''')", text, re.M):
                yield f"plugins/modules/{module}.py: no {block}"
        tests = {f"tests/unit/plugins/modules/test_{module}.py", f"tests/unit/plugins/action/test_{module}.py"}
        if not tests & set(tree.files):
            yield f"plugins/modules/{module}.py: no tests/unit/plugins/modules/test_{module}.py"
        if module not in grouped:
            yield f"plugins/modules/{module}.py: not in an action group of meta/runtime.yml"
        acts = not module.endswith(("_info", "_check")) and f"plugins/action/{module}.py" not in tree.files
        if acts and f"{module}_info" not in tree.modules:
            yield f"plugins/modules/{module}.py: no twin {module}_info"


@rule
def files_have_a_licence(tree: Tree) -> Iterator[str]:
    """Every source file says under which licence it is; modules in the words that ansible-test asks for."""
    for name in tree.match("**.py", "**.[ch]", "**.sh", "**.sql", "**.j2", "**.yml", ".ci/run", "Makefile"):
        head = "\n".join(tree.lines(name)[:6])
        if (
            head
            and "SPDX-License-Identifier: GPL-3.0-or-later" not in head
            and "GNU General Public License v3.0+" not in head
        ):
            yield f"{name}: no SPDX line"
        if name.startswith("plugins/modules/") and head and "GNU General Public License v3.0+" not in head:
            yield f"{name}: no line of the GNU General Public License v3.0+"


@rule
def files_are_clean(tree: Tree) -> Iterator[str]:
    """No trailing blanks or CRLF, a newline at the end, .yml not .yaml, no hyphen in a name that Ansible looks up."""
    for name in tree.files:
        text = tree.text(name)
        if text and (not text.endswith("\n") or "\r" in text or text.endswith("\n\n")):
            yield f"{name}: does not end in one newline"
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() and name != "LICENSE":
                yield f"{name}:{number}: trailing blank"
        if name.endswith(".yaml") and not name.startswith("changelogs/"):
            yield f"{name}: the ending is .yml"
        if re.match(r"(playbooks|roles)/[^.]*-", name):
            yield f"{name}: Ansible does not find a name with a hyphen"


@rule
def files_belong_here(tree: Tree) -> Iterator[str]:
    """No symbolic links, nothing large, no path of one machine, no host of a package registry."""
    for name in tree.files:
        path = tree.root / name
        if path.is_symlink():
            yield f"{name}: a symbolic link"
            continue
        if path.stat().st_size > BLOB_BYTES:
            yield f"{name}: {path.stat().st_size} bytes, limit {BLOB_BYTES}"
        for number, line in enumerate(tree.lines(name), 1):
            for what, pattern in (("path of one machine", MACHINE_PATHS), ("package registry", REGISTRIES)):
                if found := pattern.search(line):
                    yield f"{name}:{number}: {what}: {found[0]}"


def book_name(name: str) -> str:
    """Return what a playbook is called, of the path of its file."""
    return "ironbook.trading." + name.removeprefix("playbooks/").removesuffix(".yml").replace("/", ".")


def plays(tree: Tree) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file, play) for each play of the playbooks."""
    for name in tree.match("playbooks/**.yml"):
        yield from ((name, play) for play in tree.yaml(name) or [] if isinstance(play, dict))


def assigned(tree: Tree) -> Iterator[tuple[str, set[str]]]:
    """Yield (file, variables that it sets) for defaults and inventories. What a plugin composes is not set there."""
    profiles = tree.match("inventories/profiles/*.yml")
    for name in profiles + tree.match(
        "roles/*/defaults/**.yml", "inventories/*/group_vars/**.yml", "inventories/*/host_vars/**.yml"
    ):
        if isinstance(content := tree.yaml(name), dict):
            yield name, set(content)
    for name in tree.match("inventories/*/*.yml"):
        content = tree.yaml(name)
        if isinstance(content, dict) and "plugin" not in content and name not in profiles:
            yield name, set(group_variables(content))


def group_variables(groups: dict[str, Any]) -> Iterator[str]:
    """Yield the names of all variables in a static inventory: of its groups, their hosts and their children."""
    for group in groups.values():
        if isinstance(group, dict):
            yield from group.get("vars") or {}
            for host in (group.get("hosts") or {}).values():
                yield from host or {}
            yield from group_variables(group.get("children") or {})


def imports(source: str) -> Iterator[str]:
    """Yield the names of the modules that Python source imports; nothing if it does not parse (ruff says so)."""
    try:
        module = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def code_lines(source: str) -> int:
    """Count the lines of Python that hold code: no comment, blank line, docstring or string that stands alone."""
    try:
        module = ast.parse(source)
    except SyntaxError:
        return 0
    documentation: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign):
            is_text = isinstance(node.targets[0], ast.Name) and node.targets[0].id in MODULE_DOCUMENTATION
        else:
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text and isinstance(node, ast.stmt):
            documentation |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and n not in documentation for n, line in lines)


def c_functions(lines: list[str]) -> list[tuple[str, int]]:
    """Return (name, lines from signature to closing brace) of each function of a C file in our layout."""
    found, start = [], None
    for number, line in enumerate(lines):
        if re.match(r"[A-Za-z_]", line) and not re.match(r"(typedef|enum|union|struct \w+ \{|extern)", line):
            start = number if start is None else start
        if line.rstrip().endswith(";") and not line.startswith((" ", "}")):
            start = None
        if line.startswith("}"):
            signature = " ".join(lines[start:number]).split("{")[0] if start is not None else ""
            if "(" in signature and "=" not in signature and start is not None:
                name = re.search(r"(\w+)\(", signature.split("__attribute__")[-1]) or re.search(r"(\w+)\(", signature)
                found.append((name[1] if name else signature, number - start + 1))
            start = None
    return found
