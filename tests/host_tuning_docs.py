# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/host_tuning.md, made from the catalogue of tunables, so that nothing of it is said twice.

`make host-docs` runs this file as a program; a test makes the page again and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "host_tuning.md"
sys.path.insert(0, str(ROOT / ".venv" / "collections"))

from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import (  # noqa: E402  (found above)
    audit,
    capability,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import (  # noqa: E402
    TITLES,
    TUNABLES,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.check import Tunable  # noqa: E402
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import (  # noqa: E402
    Facts,
    Interface,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.settings import Advice  # noqa: E402

HEAD = """# Host tuning

*Made by `make host-docs` from the catalogue in `plugins/module_utils/host_tuning/catalogue/`. Do not edit it.*

The catalogue has {count} tunables in {groups} groups; {settable} of them are set on the host, the others say what to
do instead. The audit judges each on every host, the tuning sets them, and the tests prove that each has a host on
which it is right and one on which it alone is wrong. Those hosts are synthetic, made from published facts
(`tests/fixtures/host_types.py`): they prove the audit's logic, and nothing of a real host. The figures here are those
of the sources named beside them, and not measured by us.

## What the audit says

| verdict | means |
|---|---|
{verdicts}

A finding shows five planes: the **desired** value by the plan, the **persisted** one that a file will set at the next
boot (and which file wins), what this **boot** was told, the **live** value that the kernel really has, and the
measured **effect** where there is one. Its confidence is 1 where the live value was read, and lower where it was
inferred.

## Try it

```
. .venv/bin/activate
# This machine: reads, and changes nothing.
ansible localhost -i /dev/null -m ironbook.trading.host_tuning_info -a isolated_cores=1
# Another one: its files, without what may be secret, and the same of what was captured.
ssh HOST sudo python3 - <tests/host_guests/capture.py >HOST.tar.gz
mkdir HOST && tar -xzf HOST.tar.gz -C HOST
ansible localhost -i /dev/null -m ironbook.trading.host_tuning_info -a root=$PWD/HOST
# All engine hosts of an inventory, with the report.
ansible-playbook -i inventories/mine ironbook.trading.audit_hosts
# What would be set on its group `tuned_hosts`; setting it, which boots nothing unless told to; undoing it.
ansible-playbook -i inventories/mine ironbook.trading.tune_hosts --check --diff
ansible-playbook -i inventories/mine ironbook.trading.tune_hosts
ansible-playbook -i inventories/mine ironbook.trading.tune_hosts -e host_tuning_state=reverted
```

## What an instance type has

Of the EC2 User Guide and the ENA driver's README. A type that is not in this table is unknown: what it lacks is
`unknown` and never drift.

{types}

## How to add a tunable

1. Choose the group: the part of the id before the dot is a file of `plugins/module_utils/host_tuning/catalogue/`.
2. Add one entry there. Most are one call of `shorthand.py`, which names the place once: `sysctl` (a file below
   `/proc/sys`), `sysfs`, `parameter` (of the kernel's command line), `ethtool`, `feature`, `stopped_unit`, `counted`.
   It says what is wanted (`exactly`, `OneOf`, `Between`, `Cpus`, `FromFacts`), how severe it is, why in one sentence,
   who says so, what it costs (`risk`), where it makes no sense (`needs`), what a missing path means (`absence`), and
   what a host has where nobody sets it (`default`).
3. Add its case to `tests/fixtures/host_cases.py`: what is written into the tuned tree of an instance type so that
   this tunable alone is wrong, and what keeps it over a boot. If the tuned trees lack its path, add that to
   `tests/fixtures/host_trees.py`.
4. `make host-docs`, and the tests of `tests/unit/plugins/module_utils/host_tuning/`: a tunable without a case fails
   them.

What is wanted below is that of a c7i.metal-24xl of which the plan isolates the CPUs 4-7 of 8. Under "not on" are the
types of the table on which it makes no sense.

To add an instance type, add its row to `capability.py`, and its published facts to `tests/fixtures/host_types.py`.
"""
VERDICTS = {
    "harmful": "set on purpose, and it undoes another setting, or does nothing or harm",
    "drift": "read, and not what is wanted",
    "pending_reboot": "wrong now; the next boot sets it right, and this one was not told",
    "not_persisted": "right now, and the next boot sets something else or nothing",
    "unknown": "it could not be read, or nobody knows what the host should show",
    "waived": "somebody with a name has accepted the difference, until a day",
    "ok": "read, within the tolerance, and so at the next boot",
    "not_applicable": "this host cannot have it, or nothing is planned that needs it",
}
COLUMNS = {
    "nitro": "Nitro",
    "c_states": "idle states",
    "p_states": "frequency",
    "threads_option": "threads a core by API",
    "flow_steering": "flow steering",
    "large_llq": "large descriptors",
    "ena_express": "ENA Express",
    "precision_time": "own clock",
    "queue_option": "queues by API",
    "iommu": "IOMMU",
    "whole_host": "whole host",
}


def facts_of(name: str) -> Facts:
    """What the catalogue would be told of an instance of the type, 4-7 of 8 CPUs isolated, everything planned."""
    known = capability.TYPES[name]
    return Facts(
        architecture=known.architecture,
        cpus=frozenset(range(8)),
        isolated=frozenset(range(4, 8)),
        numa_nodes=2,
        virtual=not known.metal,
        instance_type=name,
        interfaces=(Interface("ens5", "ena"),),
        huge_pages=1024,
        gigantic_pages=2,
        venue_zone="use1-az4",
    )


def page() -> str:
    """Make the page."""
    head = HEAD.format(
        count=len(TUNABLES),
        groups=len(TITLES),
        settable=sum(tunable.settable for tunable in TUNABLES),
        verdicts="\n".join(f"| `{verdict}` | {VERDICTS[verdict]} |" for verdict in audit.VERDICTS),
        types=types(),
    )
    parts = [head]
    for group, title in TITLES.items():
        rows = [row(tunable) for tunable in TUNABLES if tunable.group == group]
        heading = "| tunable | wanted | severity | read from | set by | not on |\n|---|---|---|---|---|---|"
        parts.append(f"## {title}\n\n{heading}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def types() -> str:
    """Make the table of instance types."""
    heading = "| type | " + " | ".join(COLUMNS.values()) + " |\n|---" * 1 + "|---" * len(COLUMNS) + "|"
    words = {True: "yes", False: "no", None: "–"}
    rows = [
        f"| {name} | "
        + " | ".join(str(known.nitro) if column == "nitro" else words[getattr(known, column)] for column in COLUMNS)
        + " |"
        for name, known in capability.TYPES.items()
    ]
    return "\n".join([heading, *rows])


def row(tunable: Tunable) -> str:
    """Make the row of a tunable."""
    facts = facts_of("c7i.metal-24xl")
    sentences = " ".join(part for part in (tunable.why, f"*Cost:* {tunable.risk}" if tunable.risk else "") if part)
    tolerance = tunable.wanted.tolerance()
    wanted = tunable.wanted.text(facts) + ("" if tolerance == "exact" else f" ({tolerance})")
    by = type(tunable.setting).__name__
    if isinstance(tunable.setting, Advice):
        by = f"by hand: {tunable.setting.text}"
    nowhere = [name for name in capability.TYPES if tunable.not_applicable(facts_of(name))]
    cells = (
        f"**`{tunable.id}`** {tunable.title}. {sentences} *{tunable.source}*",
        wanted,
        tunable.severity,
        f"`{tunable.live.path}`",
        by,
        ", ".join(nowhere),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(TUNABLES)} tunables")
