# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the tuning: its arguments, its exits, and a tree that the whole catalogue is set in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import door, tuning
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host
from ansible_collections.ironbook.trading.plugins.modules import host_tuning
from fixtures import tuned_host

COALESCE = "Adaptive RX: off  TX: n/a\nrx-usecs:\t0\ntx-usecs:\t0\n"


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args(options), pytest.raises(SystemExit) as ended:
        host_tuning.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host in a directory, whose adapter is as it should be: no command is run in a tree, so nothing could set it."""
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, _text: None)
    tuned_host.host(tmp_path, files={"/_cmd/ethtool_-c_eth0.txt": COALESCE})
    for name in ("boot", "etc/default", "usr", "etc/systemd"):
        for path in sorted((tmp_path / name).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    return tmp_path


def test_documentation_and_arguments_name_the_same_options() -> None:
    assert set(yaml.safe_load(host_tuning.DOCUMENTATION)["options"]) == set(host_tuning.ARGUMENTS)


def test_the_whole_catalogue_is_set_shown_and_undone(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    """Check mode says it first; the second run says nothing; what is documented is returned."""
    before = tuned_host.tree(root)
    given = {"root": str(root), "isolated_cpus": "2-3", "huge_pages": 8}
    code, foretold = call(capsys, **given, _ansible_check_mode=True, _ansible_diff=True)
    assert (code, foretold["changed"]) == (0, True), foretold
    assert tuned_host.tree(root) == before
    code, done = call(capsys, **given)
    assert code == 0, done["msg"]
    assert done["actions"] == foretold["actions"]
    assert done["plan"]["housekeeping"] == "0-1"
    assert foretold["plan_lines"] == done["plan_lines"]
    assert done["plan_lines"][:3] == ["housekeeping: 0-1", "isolated: 2-3", "engine: 2"]
    assert {"changed", "diff", "invocation"} | set(yaml.safe_load(host_tuning.RETURN)) >= set(done) - {"warnings"}
    assert foretold["diff"][0]["after"].startswith("/")
    targets = {action["target"] for action in done["actions"]}
    assert {"/proc/sys/vm/swappiness", "/etc/sysctl.d/90-ironbook.conf", "interrupt eth0-Tx-Rx-1"} <= targets
    assert call(capsys, **given)[1]["changed"] is False
    code, undone = call(capsys, root=str(root), state="reverted")
    assert (code, undone["changed"]) == (0, True)
    after = tuned_host.tree(root)
    different = {name for name in before | after if before.get(name) != after.get(name)}
    # The tree is no kernel: it keeps the word that was written, and shows no other choices beside it.
    assert different == {"sys/kernel/mm/transparent_hugepage/enabled"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"root": "/nowhere"}, "so it is no host"),
        ({"isolated_cpus": "0"}, "CPU 0 cannot be isolated"),
        ({"isolated_cpus": "9"}, "this host has no CPU 9, only 0-3"),
        ({"isolated_cpus": "two"}, "isolated_cpus: 'two' is no CPU list"),
        ({"isolated_cpus": "0-3"}, "CPU 0"),
        ({"groups": ["cpus"]}, "groups: cpus is none"),
        ({"isolated_cpus": "2-99999999999"}, "is no CPU list"),
        ({"queues": 5}, "no more than the host has CPUs, 4"),
        ({"huge_pages": "many"}, "huge_pages: 'many' is no count"),
        ({"huge_pages": {"0": 4000}}, "has to keep 10 %"),
        ({"gigantic_pages": {"3": 1}}, "this host has no node 3"),
        ({"interfaces": ["eth7"]}, "no interface eth7"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_changed(
    capsys: pytest.CaptureFixture[str], root: Path, options: dict[str, Any], words: str
) -> None:
    before = tuned_host.tree(root)
    code, result = call(capsys, **{"root": str(root), **options})
    assert code == 1
    assert words in result["msg"]
    assert "\n" not in result["msg"]
    assert tuned_host.tree(root) == before


def test_two_runs_at_a_time_are_one_after_the_other_or_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    """Each would take the other's values for those of the beginning; check mode disturbs nobody."""
    monkeypatch.setattr(door, "WAIT_SECONDS", 0.2)
    before = tuned_host.tree(root)
    with door.alone(Host(str(root))):
        for state in ("tuned", "reverted"):
            code, result = call(capsys, root=str(root), state=state)
            assert (code, tuned_host.tree(root)) == (1, before)
            assert "another run of the tuning is at work on this host" in result["msg"]
        assert call(capsys, root=str(root), _ansible_check_mode=True)[0] == 0
    assert call(capsys, root=str(root))[0] == 0


def test_a_tree_with_a_link_out_of_it_is_as_it_was(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    """A write through the link would be one on this machine."""
    outside = root.parent / "outside"
    (root / "etc").rename(outside)
    (root / "etc").symlink_to(outside)
    before = tuned_host.tree(root), tuned_host.tree(outside)
    code, result = call(capsys, root=str(root), groups=["irq"], isolated_cpus="2-3")
    assert (tuned_host.tree(root), tuned_host.tree(outside)) == before
    assert code == 1 and f"/etc: a link leads out of the tree {root}. The host is as it was" in result["msg"]


def test_nothing_is_removed_through_a_link_out_of_the_tree(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    """What lies behind it is this machine's, and absent from the tree, though the tuning wrote it when it was there."""
    assert call(capsys, root=str(root), groups=["irq"], isolated_cpus="2-3")[0] == 0
    outside = root.parent / "outside_since"
    (root / "etc").rename(outside)
    (root / "etc").symlink_to(outside)
    before = tuned_host.tree(outside)
    code, result = call(capsys, root=str(root), state="reverted")
    assert (code, tuned_host.tree(outside)) == (0, before), result


def test_nobody_but_root_tunes_the_machine_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is read that only root may read."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(tuning, "tune", lambda *_arguments, **_how: pytest.fail("it went on"))
    code, result = call(capsys)
    assert code == 1
    assert "run it with become" in result["msg"]
