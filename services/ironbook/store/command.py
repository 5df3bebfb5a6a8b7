# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook store init|show`: a shard's record, asked of the store that its agent asks, by the agent's own file.

`init` makes the first record of a shard, once in its life: nobody is primary and every member is in sync, which is so
as long as all their journals are empty. A record that is there is left alone, whatever has become of it since.
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from ironbook.agent import load
from ironbook.errors import CommandError
from ironbook.protocols.store import member_name
from ironbook.store.client import Store, Unknown, Written
from ironbook.store.items import MEMBERS_MAX, NOBODY, Record, new_writer


def add_parser(subparsers: Any) -> None:
    """Add `ironbook store` to the command line."""
    parser = subparsers.add_parser("store", help="a shard's record in the configuration store")
    actions = parser.add_subparsers(dest="action", required=True)
    init = actions.add_parser("init", help="make a shard's first record, once in its life")
    init.add_argument("--config", type=Path, required=True, metavar="FILE", help="the JSON file of a member's agent")
    init.add_argument("--members", type=int, required=True, metavar="N", help="how many the shard has, from replica 0")
    init.add_argument("--check", action="store_true", help="write nothing, say what would be")
    init.set_defaults(function=run_init)
    show = actions.add_parser("show", help="print a shard's record")
    show.add_argument("--config", type=Path, required=True, metavar="FILE", help="the JSON file of a member's agent")
    show.set_defaults(function=run_show)


def run_init(arguments: argparse.Namespace) -> int:
    """Print the record and whether it was made, one line of JSON; CommandError where it is another shard map's."""
    config = load(arguments.config)
    with closing(config.open_store()) as store:
        record, changed = initialise(store, config.shard, arguments.members, config.member, arguments.check)
    print(json.dumps({"result": {"changed": changed, "record": record.document()}}))
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print the record, one line of JSON; null where there is none."""
    config = load(arguments.config)
    with closing(config.open_store()) as store:
        record = store.record(config.shard)
    print(json.dumps({"result": {"record": record and record.document()}}))
    return 0


def initialise(store: Store, shard: int, members: int, by: str, check: bool = False) -> tuple[Record, bool]:
    """Make a shard's first record where it has none; return what is there then, and whether it was made.

    `by`: who writes it. `check`: nothing is written. Raises CommandError where the record names a member that the shard
    does not have, and where it is not known whether it was written.
    """
    if not 1 <= members <= MEMBERS_MAX:
        raise CommandError(f"store: a shard has 1 to {MEMBERS_MAX} members, not {members}")
    names = tuple(member_name(shard, replica) for replica in range(members))
    first = Record(shard, 0, NOBODY, names, 1, new_writer(by))
    there = store.record(shard)
    if there is None:
        if check:
            return first, True
        outcome = store.create(first)
        if isinstance(outcome, Written):
            return outcome.item, True
        if isinstance(outcome, Unknown):
            raise CommandError(f"store: whether the record of shard {shard} was made is not known: {outcome.reason}")
        there = outcome.item
    if there is None:
        raise CommandError(f"store: the record of shard {shard} was removed while it was being made: call this again")
    if strangers := {*there.in_sync, there.primary} - {*names, NOBODY}:
        raise CommandError(
            f"store: the record of shard {shard} names {', '.join(sorted(strangers))}, and the shard map has "
            f"{', '.join(names)}: give the shard its members back, or move it by a playbook that knows both"
        )
    return there, False
