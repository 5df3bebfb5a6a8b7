# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the lock of an environment for this run, or clears the one that a killed run has left."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]
from ansible_collections.ironbook.trading.plugins.plugin_utils import run_lock
from ansible_collections.ironbook.trading.plugins.plugin_utils.run_lock import Holder, LockError, NoTableError, Place


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take, or clear; LockError is the one line of a failure."""
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(
            {
                "table": {"type": "str", "required": True},
                "environment": {"type": "str", "required": True},
                "bucket": {"type": "str", "default": ""},
                "table_may_lack": {"type": "bool", "default": False},
                "state": {"type": "str", "choices": ["held", "cleared"], "default": "held"},
                "confirm": {"type": "str", "default": ""},
                "gone": {"type": "str", "default": ""},
            }
        )
        place = Place(given["table"], given["environment"], given["bucket"])
        try:
            client = run_lock.client("dynamodb")
            if given["state"] == "cleared":
                return self._clear(client, place, given["confirm"], given["gone"])
            return self._hold(client, place)
        except NoTableError as error:
            if given["table_may_lack"]:
                return {"changed": False, "lacking": True}
            return {"failed": True, "msg": str(error)}
        except LockError as error:
            return {"failed": True, "msg": str(error)}

    def _hold(self, client: Any, place: Place) -> dict[str, Any]:
        held = run_lock.held_by_this_run()
        if self._task.check_mode:
            run_lock.read(client, place)  # whoever holds it may: a preview disturbs nobody
        elif held is None:
            held = run_lock.this_run(os.getppid())  # an action runs in a fork of Ansible's main process
            run_lock.acquire(client, place, held)
            run_lock.remember(place, held)
        return {"changed": False, "lacking": False}

    def _clear(self, client: Any, place: Place, confirm: str, gone: str) -> dict[str, Any]:
        holder = run_lock.read(client, place)
        if holder is None:
            return {"changed": False, "holder": ""}
        refusal = why_not(holder, confirm, gone)
        if refusal:
            return {"failed": True, "msg": f"{place.environment} is held by {holder}; {refusal}"}
        if not self._task.check_mode:
            run_lock.release(client, place, holder.id)
        return {"changed": True, "holder": str(holder)}


def why_not(holder: Holder, confirm: str, gone: str) -> str:
    """Say why a lock must not be cleared: its holder lives, may live, or nobody has named it; "" where it may be."""
    alive = holder.is_alive()
    if alive:
        return "that run is alive: wait for its end, or end it"
    if alive is None and gone != holder.host:
        return (
            f"whether it runs is seen on {holder.host} alone: unlock there, "
            f"or, where that machine is gone, add -e run_lock_gone={holder.host}"
        )
    if confirm != holder.id:
        return f"that run has ended: to clear its lock, add -e run_lock_confirm={holder.id}"
    return ""
