# SPDX-License-Identifier: GPL-3.0-or-later
"""A symbol's move from one shard to another, as far as it has come: the third kind of item in the configuration store.

It is what a second run goes on from, on whichever controller, when the first one was cut off; what keeps two operators
from moving one symbol to two places; and afterwards what says which shard had the symbol in which of its epochs:

  draining   the source does not take orders any more, and its last ones are being cancelled; `phase` is what it had
  drained    nothing of it is left; its last trade is of `source_epoch` or before, and not behind `source_seq`
  removed    the source knows it no more: a command of a later epoch than `source_epoch`
  added      the target knows it, closed, as `definition` says: a command of `target_epoch` or before, `target_seq`
  moved      the target trades it: every order is of a later epoch than `target_epoch`
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, get_args

from ironbook.store.errors import InvalidChangeError, WrongShardError
from ironbook.store.items import (
    EPOCH_MAX,
    FORMAT,
    SHARD_MAX,
    VERSION_MAX,
    WRITER,
    Document,
    Fields,
    new_writer,
    require_valid_document,
)

State = Literal["draining", "drained", "removed", "added", "moved"]
STATES: tuple[State, ...] = get_args(State)
DEFINITION_MAX = 400

_SYMBOL = re.compile(r"[A-Z0-9.+=*^#-]{1,8}\Z")  # as in the shard map
_PHASE = re.compile(r"[a-z_]{1,32}\Z")
_STATE = re.compile(f"(?:{'|'.join(STATES)})\\Z")


@dataclass(frozen=True)
class Move:
    """`definition`: the words that `instrument_add` takes, without phase; empty, as the numbers 0, until it is known.

    `map_version`: of the shard map that has the symbol in its new place.
    """

    symbol: str
    source: int
    target: int
    map_version: int
    state: State
    phase: str
    definition: str
    source_seq: int
    source_epoch: int
    target_seq: int
    target_epoch: int
    version: int
    writer: str
    revision: int = field(default=0, compare=False)

    PREFIX: ClassVar[str] = "move/"

    @staticmethod
    def key_of(symbol: str) -> str:
        """Return the key of a symbol's last move."""
        return f"{Move.PREFIX}{symbol}"

    @property
    def key(self) -> str:
        """Under which it stands in the store."""
        return self.key_of(self.symbol)

    @property
    def is_done(self) -> bool:
        """Whether it has come to its end."""
        return self.state == "moved"

    def next(self, by: str, **changes: Any) -> Move:
        """Return what is to take its place, written by `by`; raises InvalidChangeError."""
        wanted = replace(self, **changes, version=self.version + 1, writer=new_writer(by), revision=0)
        wanted.require_valid()
        wanted.require_follows(self)
        return wanted

    def document(self) -> dict[str, Any]:
        """Return what is written."""
        names = ("symbol", "source", "target", "map_version", "state", "phase", "definition", "source_seq",
                 "source_epoch", "target_seq", "target_epoch", "version", "writer")  # fmt: skip
        return {"format": FORMAT, **{name: getattr(self, name) for name in names}}

    def require_valid(self) -> None:
        """Raise InvalidChangeError unless it may stand in the store."""
        require_valid_document(self)
        if self.source == self.target:
            raise InvalidChangeError(f"{self.symbol} cannot move from shard {self.source} to itself")
        drained = self.state != "draining"
        added = self.state in {"added", "moved"}
        if (drained and not (self.definition and self.source_seq and self.source_epoch)) or (
            added and not (self.target_seq and self.target_epoch)
        ):
            raise InvalidChangeError(f"the move of {self.symbol} is {self.state}, and does not say as of when")

    def require_follows(self, known: Move, allow_data_loss: bool = False) -> None:
        """Raise InvalidChangeError unless it may take the place of `known`: a step further, or the next move.

        A symbol that was reopened while it was drained is drained once more; behind its removal nothing goes back.
        """
        here, there = STATES.index(self.state), STATES.index(known.state)
        fits = self.symbol == known.symbol and self.version == known.version + 1
        if known.is_done:
            fits = fits and here == 0 and self.source == known.target
        else:
            same = (self.source, self.target, self.map_version, self.phase)
            fits = fits and same == (known.source, known.target, known.map_version, known.phase)
            fits = fits and (here == there + 1 or {self.state, known.state} <= {"draining", "drained"})
        if not fits:
            raise InvalidChangeError(
                f"the move of {self.symbol} from shard {self.source} to {self.target} ({self.state}, version "
                f"{self.version}) cannot follow that from {known.source} to {known.target} ({known.state}, version "
                f"{known.version})"
            )

    def at(self, revision: int) -> Move:
        """Return the same with the store's number."""
        return replace(self, revision=revision)

    @classmethod
    def parse(cls, key: str, document: Document, revision: int = 0) -> Move:
        """Read a move; raises an ItemError that names the key and what is wrong."""
        fields = Fields(f"the move at {key}", document)
        state = fields.text("state", _STATE, f"one of {', '.join(STATES)}")
        move = cls(
            symbol=fields.text("symbol", _SYMBOL, "1 to 8 capital letters or digits"),
            source=fields.number("source", 0, SHARD_MAX),
            target=fields.number("target", 0, SHARD_MAX),
            map_version=fields.number("map_version", 1, VERSION_MAX),
            state=STATES[[*STATES].index(state)],  # type: ignore[arg-type]  # the pattern has them alone
            phase=fields.text("phase", _PHASE, "the name of a phase"),
            definition=fields.free_text("definition", DEFINITION_MAX),
            source_seq=fields.number("source_seq", 0, VERSION_MAX),
            source_epoch=fields.number("source_epoch", 0, EPOCH_MAX),
            target_seq=fields.number("target_seq", 0, VERSION_MAX),
            target_epoch=fields.number("target_epoch", 0, EPOCH_MAX),
            version=fields.number("version", 1, VERSION_MAX),
            writer=fields.text("writer", WRITER, "1 to 128 printable characters"),
            revision=revision,
        )
        fields.end()
        if key != move.key:
            raise WrongShardError(f"the move at {key} says that it is of {move.symbol}: it is not to be acted upon")
        return move
