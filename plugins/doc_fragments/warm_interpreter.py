# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the strategies that may use a warm interpreter say of it."""

from __future__ import annotations


class ModuleDocFragment:
    """Shared by warm_free and warm_linear."""

    DOCUMENTATION = r"""
description:
  - Is Ansible's own strategy unless the variable C(ironbook_warm_interpreter) is true for the first host of the play.
  - Where it is, modules run in one interpreter a host, which has loaded what the modules before it have
    needed, by L(Mitogen,https://mitogen.networkgenomics.com/ansible_detailed.html). Ansible's own way starts an
    interpreter for each task and imports boto3 anew, which is most of what a task costs.
  - Connections of the kinds local and ssh are Mitogen's then, too.
options:
  warm_interpreter:
    description: Whether modules run so. The first host of the play decides.
    type: bool
    default: false
    vars:
      - name: ironbook_warm_interpreter
requirements:
  - mitogen, in the Python that runs Ansible, where the variable is true
"""
