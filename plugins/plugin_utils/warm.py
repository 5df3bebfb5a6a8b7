# SPDX-License-Identifier: GPL-3.0-or-later
"""What warm_linear and warm_free add to Ansible's strategies: the modules of a play in forks of one interpreter."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.template import Templar

VARIABLE = "ironbook_warm_interpreter"
MISSING = (
    f"{VARIABLE} is true, and the Python that runs Ansible has no mitogen ({{}}): install what requirements/site.txt "
    "names, or set it to false"
)


class Warm:
    """Mixed into a strategy, before it. Mitogen is asked for only where the inventory wants it."""

    _inventory: Any
    _loader: Any
    _variable_manager: Any

    def run(self, iterator: Any, play_context: Any) -> Any:
        """Run the play as the strategy does, by Mitogen where the variable is true for the play's first host.

        AnsibleError where Mitogen is wanted and is not there.
        """
        if not hasattr(self, "_worker_model") and self._is_wanted(iterator._play):
            self.__class__ = type(type(self).__name__, (_mixin(), type(self)), {})
            return self.run(iterator, play_context)
        return super().run(iterator, play_context)  # type: ignore[misc]

    def _is_wanted(self, play: Any) -> bool:
        host = next(iter(self._inventory.get_hosts(play.hosts)), None)
        variables = self._variable_manager.get_vars(play=play, host=host)
        templar = Templar(loader=self._loader, variables=variables)
        return boolean(templar.template(variables.get(VARIABLE, False)))


def _mixin() -> type:
    """What Mitogen adds to a strategy, which begins by giving it a `_worker_model`."""
    try:
        mixin: type = import_module("ansible_mitogen.strategy").StrategyMixin
    except ImportError as error:
        raise AnsibleError(MISSING.format(error)) from error
    return mixin
