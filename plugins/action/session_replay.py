# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs `ironbook session replay` on the controller and shows how far it is, which a module cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase  # type: ignore[import-untyped]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "market_data": {"type": "str", "default": ""},
    "generate": {
        "type": "dict",
        "options": {
            "messages": {"type": "int", "default": 20_000},
            "seed": {"type": "int", "default": 1},
            "symbol": {"type": "str", "required": True},
        },
    },
    "endpoints": {"type": "list", "elements": "str"},
    "maker": {"type": "str"},
    "taker": {"type": "str"},
    "secrets_directory": {"type": "path"},
    "directory": {"type": "path", "required": True},
    "speed": {"type": "float", "default": 0.0},
    "plan": {"type": "bool", "default": False},
}
TO_SEND = [("plan", False, ("generate", "endpoints", "maker", "taker", "secrets_directory"))]
_COMMAND = (sys.executable, "-m", "ironbook.cli", "session")
_NEVER_SENT = "nothing was sent: this session has been replayed to its end before"


class ReplayError(Exception):
    """The one line that the command ended with, and how many messages it had sent by then."""

    sent = 0


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible has no types
    """See the documentation of the module of the same name."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Replay, or say what would be sent."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS, required_if=TO_SEND)
        try:
            if arguments["plan"]:
                return plan(arguments)
            if self._task.check_mode:
                return preview(arguments)
            return replay(arguments, lambda line: self._display.display(f"  {line}"))
        except ReplayError as error:
            return {"failed": True, "changed": error.sent > 0, "sent": error.sent, "msg": str(error)}


def replay(arguments: dict[str, Any], show: Callable[[str], None]) -> dict[str, Any]:
    """Send what has not been sent; `show` gets a line every few seconds."""
    directory = Path(arguments["directory"])
    market_data = arguments["market_data"] or generated(arguments, directory)
    config = write_config(arguments, directory)
    command = ["replay", market_data, "--config", str(config), "--state-directory", str(directory)]
    if arguments["speed"]:
        command += ["--speed", str(arguments["speed"])]
    result: dict[str, Any] = {}
    sent = 0
    try:
        for line in run_command(command):
            if "progress" in line:
                at = line["progress"]
                sent = at["sent"]
                show(f"{at['messages']:,} of {at['of']:,} messages, {at['fills']:,} fills, {at['seconds']:.0f} s")
            sent = line.get("sent", sent)
            result = line.get("result", result)
    except ReplayError as error:
        error.sent = sent  # what is sent has changed the market, whatever became of the rest
        raise
    return with_summary(result)


def plan(arguments: dict[str, Any]) -> dict[str, Any]:
    """Read the market data to its end, so that what is wrong with it is said before anything is made for it."""
    try:
        [line] = run_command(
            ["replay", arguments["market_data"], "--state-directory", arguments["directory"], "--plan"]
        )
    except ReplayError as error:
        raise ReplayError(f"{error}; mend it, or name another file as MARKET_DATA") from error
    return {**renamed(line["result"]), "changed": False, "sent": 0, "actions": [], "summary": "fit to be replayed"}


def preview(arguments: dict[str, Any]) -> dict[str, Any]:
    """Say what a run would do; connects to nothing and writes nothing."""
    directory = Path(arguments["directory"])
    market_data = arguments["market_data"] or str(generated_path(arguments, directory))
    if not Path(market_data).exists() and not arguments["market_data"]:
        what = f"would generate and replay {arguments['generate']['messages']:,} messages"
        return {"changed": True, "sent": 0, "actions": [what], "summary": what}
    [line] = run_command(["replay", market_data, "--state-directory", str(directory), "--plan"])
    result = renamed(line["result"])
    what = f"would replay {result['commands']:,} messages of {result['input']}" if result["changed"] else _NEVER_SENT
    return {**result, "sent": 0, "actions": [what] if result["changed"] else [], "summary": what}


def with_summary(raw: dict[str, Any]) -> dict[str, Any]:
    """Add what a person reads, and the actions that were done."""
    result = renamed(raw)
    if not result["changed"]:
        return {**result, "actions": [], "summary": _NEVER_SENT}
    summary = (
        f"{result['input']}: {result['sent']:,} messages sent in {result['seconds']:.1f} s, {result['fills']:,} fills, "
        f"{result['quantity']:,} traded; skipped: "
        + ("; ".join(f"{count:,} x {reason}" for reason, count in result["not_sent"].items()) or "none")
    )
    return {**result, "actions": [f"sent {result['sent']:,} messages of {result['input']}"], "summary": summary}


def renamed(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with another name for "skipped", by which Ansible means the task itself."""
    return {"not_sent" if key == "skipped" else key: value for key, value in result.items()}


def generated_path(arguments: dict[str, Any], directory: Path) -> Path:
    """Return where a generated session lies: one directory for each size, the file is named by its seed."""
    made = arguments["generate"]
    return directory / "generated" / f"{made['symbol']}-{made['messages']}-{made['seed']}"


def generated(arguments: dict[str, Any], directory: Path) -> str:
    """Make the session that the arguments describe, unless it is there."""
    path, made = generated_path(arguments, directory), arguments["generate"]
    if not path.is_dir():
        options = ["--messages", str(made["messages"]), "--seed", str(made["seed"]), "--symbol", made["symbol"]]
        for _line in run_command(["generate", str(path), *options]):
            pass
    return str(path)


def write_config(arguments: dict[str, Any], directory: Path) -> Path:
    """Write where and as whom to log in, which `ironbook session replay` reads by hand too. No password is in it."""
    login = {
        role: {
            "username": arguments[role],
            "password_file": str(Path(arguments["secrets_directory"]) / f"session_{arguments[role]}"),
        }
        for role in ("maker", "taker")
    }
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "client.json"
    path.write_text(json.dumps({"endpoints": arguments["endpoints"], **login}, indent=1) + "\n")
    return path


def run_command(arguments: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of `ironbook session …` as they come; ReplayError if it fails."""
    process = subprocess.Popen(
        [*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    with process:
        if process.stdout is None or process.stderr is None:
            raise AssertionError("both are pipes")
        for line in process.stdout:
            yield json.loads(line)
        # It writes one line there, which waits in the pipe.
        errors = process.stderr.read().strip().splitlines()
    if process.returncode != 0:
        raise ReplayError(errors[-1] if errors else f"session {arguments[0]} ended with status {process.returncode}")
