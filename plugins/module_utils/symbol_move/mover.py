# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a step of a symbol's move on the host of a member: asks its engine, and writes down how far the move has come.

Whoever takes a step holds the lease of the shard's operators meanwhile, as for a switchover.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from ..engine_failover.operator import Operator, pause
from ..engine_member import member as members
from ..engine_member.member import Member
from .plan import CLOSED, Asked, Here, actions, words

with contextlib.suppress(ImportError):  # the modules say what is missing
    from ironbook.admin import AdminError, request
    from ironbook.store.client import Conflict, Unknown, Written
    from ironbook.store.items import new_writer
    from ironbook.store.move import Move

# What the documentation fragments engine_member and symbol_move describe.
ARGUMENTS = {
    **members.WITH_AGENT,
    "symbol": {"type": "str", "required": True},
    "source": {"type": "int", "required": True},
    "target": {"type": "int", "required": True},
    "map_version": {"type": "int", "required": True},
}
_OF_THE_STORE = {"format", "version", "writer"}
_ABOUT_TO_LEAD = ("takeover", "opening")
_POLL_SECONDS = 0.1
_ROUNDS = 10  # of cancels, for orders that were on their way


def look(member: Member, config: Path, symbol: str) -> Here:
    """What a member is, and what it knows of a symbol. Raises ValueError."""
    status = members.status(member)
    if status is None:
        return Here(member.shard, member.replica, "down", None, False, 0, None, is_configured(config, symbol, None))
    says = status.get("replication") or {}
    role = str(status.get("role"))
    return Here(
        shard=member.shard,
        replica=member.replica,
        role=role,
        primary=says.get("primary"),
        whole=role == "primary" and len(says.get("in_sync", ())) == member.members > 0,
        epoch=int(status["epoch"]),
        instrument=traded(member, symbol) if role == "primary" else None,
        configured=is_configured(config, symbol, status.get("started_at")),
    )


def traded(member: Member, symbol: str) -> dict[str, Any] | None:
    """How a primary has a symbol, None where it does not trade it: for that no other error is a word. AdminError."""
    try:
        return request(member.socket, f"instrument {symbol}")
    except AdminError as error:
        if "is not traded here" not in str(error):
            raise
    return None


def is_configured(config: Path, symbol: str, started_at: int | None) -> bool:
    """Whether a start of the engine would trade a symbol by itself, or whether this one does not know the file yet."""
    try:
        named = json.loads(config.read_text(encoding="utf-8")).get("instruments", ())
        newer = started_at is not None and config.stat().st_mtime >= started_at + 1
    except OSError as error:
        raise ValueError(f"{config}: cannot be read: {error.strerror}") from error
    return newer or any(one.get("symbol") == symbol and not one.get("removed") for one in named)


def shown(move: Move | None) -> dict[str, Any]:
    """What a move is for people: all but what the store needs of it. Empty where there is none."""
    return {key: value for key, value in move.document().items() if key not in _OF_THE_STORE} if move else {}


class Mover:
    """Whoever takes steps on one member."""

    def __init__(self, member: Member, config: Path, agent_config: Path, asked: Asked, seconds: float) -> None:
        """`seconds`: how long to wait for a member that is about to lead. Raises ValueError and CommandError."""
        self.member, self.config, self.asked = member, config, asked
        self._seconds = seconds
        self.operator = Operator(member, agent_config, None, seconds)

    def move(self) -> Move | None:
        """The symbol's last move. Raises StoreError."""
        return self.operator.store.read(Move, Move.key_of(self.asked.symbol))

    def here(self) -> Here:
        """The member as it is. Raises ValueError."""
        return look(self.member, self.config, self.asked.symbol)

    def run(self, step: str, preview: bool) -> tuple[str, ...]:
        """Take a step where this member leads; what was done, or would be. Raises Refused, StoreError, AdminError."""
        here = self._settled()
        if here.shard != self.asked.shard_of(step):
            raise ValueError(f"{step} is done on shard {self.asked.shard_of(step)}, and this is one of {here.shard}")
        if not here.leads:
            return ()
        todo = actions(step, self.asked, self.move(), here, preview)
        if preview or not todo:
            return todo
        with self.operator.alone(f"{step} {self.asked.symbol}: to shard {self.asked.target}"):
            todo = actions(step, self.asked, self.move(), self.here())
            for action in todo:
                self.operator.keep()
                getattr(self, f"_{action}")()
        return todo

    def _settled(self) -> Here:
        """The member as it is, as soon as it is not just about to lead, or at the end of the time."""
        end = time.monotonic() + self._seconds
        while (here := self.here()).role in _ABOUT_TO_LEAD and time.monotonic() < end:
            pause(_POLL_SECONDS)
        return here

    # ----------------------------------------------------------------------------------------------- on the source

    def _begin(self) -> None:
        asked, known = self.asked, self.move()
        phase = str(self._ask(f"instrument {asked.symbol}")["phase"])
        first = Move(asked.symbol, asked.source, asked.target, asked.map_version, "draining", phase, "", 0, 0, 0, 0,
                     known.version + 1 if known else 1, new_writer(self._by))  # fmt: skip
        self._write(known, first)
        self.operator.note(f"begin: {asked.symbol} ({phase}) moves from shard {asked.source} to {asked.target}")

    def _close(self) -> None:
        self._ask(f"phase {self.asked.symbol} {CLOSED}")
        self.operator.note(f"close: shard {self.member.shard} takes no order for {self.asked.symbol} any more")

    def _cancel(self) -> None:
        canceled = 0
        for _round in range(_ROUNDS):
            answer = self._ask(f"mass_cancel symbol={self.asked.symbol}")
            canceled += int(answer["canceled"])
            if not answer["event_count"]:
                break
        else:
            raise ValueError(f"{self.asked.symbol} has new orders again and again, though it is closed: look who")
        known = self._known()
        instrument = self._ask(f"instrument {self.asked.symbol}")
        if instrument["phase"] != CLOSED:
            raise ValueError(f"{self.asked.symbol} was opened again while it was drained: run this again")
        # Read behind what was answered: no earlier epoch than that of the last trade.
        status = self._ask("status")
        state = {"definition": words(instrument), "source_seq": answer["seq"], "source_epoch": status["epoch"]}
        if known.state == "drained":  # it was reopened: once more
            known = self._write(known, known.next(self._by, state="draining"))
        self._write(known, known.next(self._by, state="drained", **state))
        self.operator.note(
            f"drained: nothing of {self.asked.symbol} is left after {canceled} cancels, at sequence {answer['seq']} of "
            f"epoch {status['epoch']}"
        )

    def _remove(self) -> None:
        known = self._known()
        if self.here().instrument is not None:  # else a run that was cut off has done it
            answer = self._ask(f"instrument_remove {self.asked.symbol}")
            self.operator.note(f"removed: at sequence {answer['seq']} of epoch {self._ask('status')['epoch']}")
        self._write(known, known.next(self._by, state="removed"))

    # ----------------------------------------------------------------------------------------------- on the target

    def _add(self) -> None:
        known = self._known()
        there = self.here().instrument
        if there is None:
            self._ask(f"instrument_add {self.asked.symbol} {known.definition} phase={CLOSED}")
            there = self._ask(f"instrument {self.asked.symbol}")
        if words(there) != known.definition or there["phase"] != CLOSED:
            raise ValueError(
                f"shard {self.member.shard} has {self.asked.symbol} as {words(there)} phase={there['phase']}, and it "
                f"is to be {known.definition} phase={CLOSED}: make it so (instrument_change, phase), and run this again"
            )
        status = self._ask("status")
        seq = status["commit_seq"]  # of what was committed when it was there
        self._write(known, known.next(self._by, state="added", target_seq=seq, target_epoch=status["epoch"]))
        self.operator.note(f"added: closed, at sequence {seq} of epoch {status['epoch']} or before")

    def _open(self) -> None:
        known = self._known()
        if known.phase != CLOSED:
            self._ask(f"phase {self.asked.symbol} {known.phase}")
        self._write(known, known.next(self._by, state="moved"))
        self.operator.note(f"moved: shard {self.member.shard} trades {self.asked.symbol} ({known.phase})")

    # ------------------------------------------------------------------------------------------------------ inside

    @property
    def _by(self) -> str:
        return f"symbol_move:{self.member.shard}"

    def _ask(self, words_: str) -> dict[str, Any]:
        return request(self.member.socket, words_)

    def _known(self) -> Move:
        known = self.move()
        if known is None:
            raise ValueError(f"the move of {self.asked.symbol} has vanished from the store: nothing was done")
        return known

    def _write(self, known: Move | None, wanted: Move) -> Move:
        store = self.operator.store
        outcome = store.create(wanted) if known is None else store.replace(known, wanted)
        if isinstance(outcome, Unknown):
            outcome = store.again(outcome)
        if isinstance(outcome, Conflict):
            raise ValueError(f"somebody else moves {self.asked.symbol}, too: look, and run this again")
        if not isinstance(outcome, Written):
            raise ValueError(f"whether the step is written down is not known ({outcome.reason}): run this again")
        return outcome.item
