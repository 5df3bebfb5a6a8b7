# SPDX-License-Identifier: GPL-3.0-or-later
"""What warm_linear and warm_free add to Ansible's strategies: the modules of a play in one interpreter a host."""

from __future__ import annotations

from functools import cache, wraps
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

# Run in that interpreter before a module is; nothing the second time. A session of boto3 has a loader of its own and
# reads the descriptions of services anew, EC2's in a third of a second: here all sessions have one loader, as all
# clients of a session have anyway. What it has read so far is put where the garbage collector does not look again.
SHARE_DESCRIPTIONS = """
import sys
if "botocore.session" not in sys.modules:
    try:
        import gc, botocore.loaders, botocore.session
    except ImportError:
        pass
    else:
        make = botocore.loaders.create_loader
        loader = make()
        loader.load_service_model("ec2", "service-2")
        botocore.session.create_loader = lambda path=None: make(path) if path else loader
        gc.collect()
        gc.freeze()
"""


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


@cache
def _mixin() -> type:
    """What Mitogen adds to a strategy, which begins by giving it a `_worker_model`."""
    try:
        mixin: type = import_module("ansible_mitogen.strategy").StrategyMixin
    except ImportError as error:
        raise AnsibleError(MISSING.format(error)) from error
    _share_descriptions(import_module("ansible_mitogen.connection").Connection)
    _list_once(import_module("ansible.collections.list"))
    return mixin


def _share_descriptions(connection: Any) -> None:
    """Have the modules that run here share what boto3 reads; those of another machine ask no AWS."""
    get_chain = connection.get_chain

    @wraps(get_chain)
    def sharing(self: Any, **options: Any) -> Any:
        chain = get_chain(self, **options)
        if self.transport == "local":
            chain.call_no_reply(exec, SHARE_DESCRIPTIONS, {})
        return chain

    connection.get_chain = sharing


def _list_once(collections: Any) -> None:
    """List the collections here: Mitogen does in each task's process, and reads a file of each of a hundred."""
    list_them = collections.list_collection_dirs
    there = list(list_them())
    collections.list_collection_dirs = lambda *which, **how: list_them(*which, **how) if which or how else iter(there)
