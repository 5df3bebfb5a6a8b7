# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs `ansible-test sanity` on a copy of the collection.

ansible-test strips the environment and downloads get-pip.py from a site of its own, which need not be reachable. So it
gets a home directory under .cache/ with the pip settings of this user, and a get-pip of a few lines that runs pip's own
wheel.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gates.collection_copy import copy_collection  # found through the line above

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
HOME = CACHE / "sanity-home"
PIP_VERSION = "24.2"  # ansible-core 2.19: ansible_test/_internal/python_requirements.py
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]

GET_PIP = """
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "pip-{version}-py3-none-any.whl"))
from pip._internal.cli.main import main
sys.exit(main(["install"] + [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]))
"""


def prepare_home() -> None:
    """Give ansible-test a home with this user's pip settings and a get-pip that needs no download site."""
    settings = subprocess.run([*PIP, "config", "list"], check=True, capture_output=True, text=True).stdout
    lines = ["[global]"]
    for line in settings.splitlines():
        key, _, value = line.partition("=")
        lines.append(f"{key.rpartition('.')[2]} = {ast.literal_eval(value)}")
    pip_conf = HOME / ".config" / "pip" / "pip.conf"
    pip_conf.parent.mkdir(parents=True, exist_ok=True)
    pip_conf.write_text("\n".join(dict.fromkeys(lines)) + "\n")

    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("pip-*.whl")):
        command = [*PIP, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(cache)]
        subprocess.run([*command, f"pip=={PIP_VERSION}"], check=True)
    script = cache / f"get_pip_{PIP_VERSION.replace('.', '_')}.py"
    script.write_text(GET_PIP.format(version=PIP_VERSION).lstrip())


def run(copy: Path, *options: str) -> int:
    """Run `ansible-test sanity` in the copy of the collection and return its exit code."""
    version = ".".join(map(str, sys.version_info[:2]))
    command = ["ansible-test", "sanity", "--color=no", "--python", version, *options]
    environment = os.environ | {"HOME": str(HOME), "ANSIBLE_HOME": str(HOME / ".ansible")}
    return subprocess.run(command, cwd=copy, env=environment, check=False).returncode


def main() -> int:
    """Run the sanity tests, or what is named on the command line.

    Its pylint looks at plugins only: it has rules for Ansible's own code (no name `_`, for one) that mean nothing for
    the services, which ruff and mypy check.
    """
    copy = copy_collection(CACHE / "sanity")
    prepare_home()
    if sys.argv[1:]:
        return run(copy, *sys.argv[1:])
    code = run(copy, "--skip-test", "pylint") or run(copy, "--test", "pylint", "plugins/")
    print(f"ansible-test sanity: {'findings, see above' if code else 'no findings'}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
