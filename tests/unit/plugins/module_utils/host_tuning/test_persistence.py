# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file wins at the next boot: the rules of sysctl.d, tmpfiles.d, GRUB, boot entries and systemd's drop-ins."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import persistence
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host


def written(root: Path, files: dict[str, str]) -> Host:
    """Write files; a text that begins with an arrow is a link."""
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            place.symlink_to(text[3:])
        else:
            place.write_text(text)
    return Host(str(root))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (
            {"etc/sysctl.d/90.conf": "# vm.swappiness=3\n;vm.swappiness=4\nvm.swappiness  =  5 \n"},
            ("5", "/etc/sysctl.d/90.conf"),
        ),
        # By name over all directories, whatever the directory.
        (
            {"etc/sysctl.d/10-a.conf": "vm.swappiness=1", "usr/lib/sysctl.d/50-b.conf": "vm.swappiness=2"},
            ("2", "/usr/lib/sysctl.d/50-b.conf"),
        ),
        # Of one name the file in /etc hides all others, even when it says nothing of the key.
        ({"etc/sysctl.d/50-b.conf": "vm.other=1", "usr/lib/sysctl.d/50-b.conf": "vm.swappiness=2"}, None),
        (
            {"run/sysctl.d/50-b.conf": "vm.swappiness=1", "usr/lib/sysctl.d/50-b.conf": "vm.swappiness=2"},
            ("1", "/run/sysctl.d/50-b.conf"),
        ),
        # A link to /dev/null masks.
        ({"etc/sysctl.d/50-b.conf": "-> /dev/null", "usr/lib/sysctl.d/50-b.conf": "vm.swappiness=2"}, None),
        # /etc/sysctl.conf counts by the link that leads to it, and not without one.
        (
            {
                "etc/sysctl.conf": "vm.swappiness=7",
                "etc/sysctl.d/99-sysctl.conf": "-> ../sysctl.conf",
                "etc/sysctl.d/90-ironbook.conf": "vm.swappiness=1",
            },
            ("7", "/etc/sysctl.d/99-sysctl.conf"),
        ),
        ({"etc/sysctl.conf": "vm.swappiness=7"}, None),
        # Slashes, an ignored failure, patterns.
        ({"etc/sysctl.d/a.conf": "-vm/swappiness=8"}, ("8", "/etc/sysctl.d/a.conf")),
        ({"etc/sysctl.d/a.conf": "vm.swappiness=8", "etc/sysctl.d/b.conf": "vm.*=9"}, ("8", "/etc/sysctl.d/a.conf")),
        ({"etc/sysctl.d/b.conf": "vm.*=9"}, ("9", "/etc/sysctl.d/b.conf")),
        ({"etc/sysctl.d/b.conf": "vm.*=9\n-vm.swappiness"}, None),
        ({"etc/sysctl.d/a.conf.bak": "vm.swappiness=8"}, None),
    ],
)
def test_sysctl(tmp_path: Path, files: dict[str, str], expected: tuple[str, str] | None) -> None:
    """systemd-sysctl(8), sysctl.d(5)."""
    assert persistence.sysctl(written(tmp_path, files), "vm.swappiness") == expected


THP = "/sys/kernel/mm/transparent_hugepage/enabled"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"etc/tmpfiles.d/a.conf": f"w {THP} - - - - never\n"}, ("never", "/etc/tmpfiles.d/a.conf")),
        # Of equal paths the first file counts; that is the opposite of sysctl.d.
        (
            {
                "etc/tmpfiles.d/a.conf": f"w {THP} - - - - never\n",
                "usr/lib/tmpfiles.d/b.conf": f"w {THP} - - - - always",
            },
            ("never", "/etc/tmpfiles.d/a.conf"),
        ),
        # Different patterns are applied one after the other.
        (
            {
                "etc/tmpfiles.d/a.conf": f"w {THP} - - - - never\n",
                "usr/lib/tmpfiles.d/b.conf": "w /sys/kernel/mm/*/enabled - - - - always",
            },
            ("always", "/usr/lib/tmpfiles.d/b.conf"),
        ),
        ({"etc/tmpfiles.d/a.conf": "", "usr/lib/tmpfiles.d/a.conf": f"w {THP} - - - - always"}, None),
        ({"etc/tmpfiles.d/a.conf": f"w! {THP} - - - - 50%%\n"}, ("50%", "/etc/tmpfiles.d/a.conf")),
        ({"etc/tmpfiles.d/a.conf": f"f {THP} - - - - never\n# w {THP} - - - - never\nw {THP}\n"}, None),
    ],
)
def test_tmpfiles(tmp_path: Path, files: dict[str, str], expected: tuple[str, str] | None) -> None:
    """tmpfiles.d(5)."""
    assert persistence.tmpfiles(written(tmp_path, files), THP) == expected


DEFAULT = {"etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="quiet nohz_full=1"\nGRUB_CMDLINE_LINUX="nohz_full=7"\n'}
OURS = "etc/default/grub.d/90-ironbook.cfg"
APPENDED = 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT nohz_full=2-3"\n'
MADE = (
    "menuentry 'Debian' {\n\tlinux\t/vmlinuz root=/dev/vda1 ro quiet nohz_full=%s\n}\n"
    "menuentry 'old' {\n linux /old nohz_full=9\n}\n"
)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (DEFAULT, ("1", "/etc/default/grub")),  # the default variable stands behind the other
        ({**DEFAULT, OURS: APPENDED}, ("2-3", f"/{OURS}")),
        (
            {**DEFAULT, OURS: APPENDED.replace("$GRUB_CMDLINE_LINUX_DEFAULT", "${GRUB_CMDLINE_LINUX_DEFAULT}")},
            ("2-3", f"/{OURS}"),
        ),
        # A later file that forgets what was there takes it away.
        (
            {**DEFAULT, OURS: APPENDED, "etc/default/grub.d/95-x.cfg": "GRUB_CMDLINE_LINUX_DEFAULT='quiet'\n"},
            ("7", "/etc/default/grub"),
        ),
        (
            {**DEFAULT, "etc/default/grub.d/95-x.cfg": 'GRUB_CMDLINE_LINUX_DEFAULT+=" nohz_full=5"\n'},
            ("5", "/etc/default/grub.d/95-x.cfg"),
        ),
        # What counts is what update-grub has made of it.
        ({**DEFAULT, OURS: APPENDED, "boot/grub/grub.cfg": MADE % "2-3"}, ("2-3", f"/{OURS}")),
        ({**DEFAULT, OURS: APPENDED, "boot/grub/grub.cfg": MADE % "1"}, ("1", "/boot/grub/grub.cfg")),
        ({**DEFAULT, OURS: APPENDED, "boot/grub/grub.cfg": (MADE % "1").replace(" nohz_full=1", "")}, None),
        # Boot entries: the newest kernel's, rescue left out, variables put in.
        (
            {
                "boot/loader/entries/a-6.1.9-1.conf": "title A\noptions root=1 nohz_full=1\n",
                "boot/loader/entries/a-6.1.10-1.conf": "options root=1 nohz_full=4\n",
                "boot/loader/entries/z-0-rescue.conf": "options root=1\n",
            },
            ("4", "/boot/loader/entries/a-6.1.10-1.conf"),
        ),
        (
            {
                "boot/loader/entries/a.conf": "options $kernelopts\n",
                "boot/grub2/grubenv": "# GRUB\nkernelopts=root=1 nohz_full=6\n",
            },
            ("6", "/boot/loader/entries/a.conf"),
        ),
    ],
)
def test_kernel_parameters(tmp_path: Path, files: dict[str, str], expected: tuple[str, str] | None) -> None:
    """GRUB's own files on Debian, boot entries elsewhere."""
    assert persistence.kernel_parameter(written(tmp_path, files), "nohz_full") == expected


def test_the_count_of_pages_belongs_to_the_size_before_it(tmp_path: Path) -> None:
    """Two sizes in one command line are two counts."""
    line = 'GRUB_CMDLINE_LINUX="hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512"\n'
    host = written(tmp_path, {"etc/default/grub": line, "proc/cmdline": "ro hugepagesz=1G hugepages=3"})
    assert persistence.huge_pages(host, 1048576) == ("4", "/etc/default/grub")
    assert persistence.huge_pages(host, 2048) == ("512", "/etc/default/grub")
    assert persistence.huge_pages_asked(host, 1048576) == "3"
    assert persistence.huge_pages_asked(host, 2048) is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (
            {"etc/systemd/system.conf": "[Manager]\n#CPUAffinity=9\nCPUAffinity=0-1\n"},
            ("0-1", "/etc/systemd/system.conf"),
        ),
        ({"etc/systemd/system.conf": "[Other]\nCPUAffinity=0-1\n"}, None),
        ({"usr/lib/systemd/system.conf": "[Manager]\nCPUAffinity=5\n", "etc/systemd/system.conf": "[Manager]\n"}, None),
        # Masks add up until an empty one.
        (
            {
                "etc/systemd/system.conf": "[Manager]\nCPUAffinity=0 1\n",
                "etc/systemd/system.conf.d/a.conf": "[Manager]\nCPUAffinity=4\n",
            },
            ("0-1,4", "/etc/systemd/system.conf.d/a.conf"),
        ),
        (
            {
                "etc/systemd/system.conf": "[Manager]\nCPUAffinity=0 1\n",
                "etc/systemd/system.conf.d/a.conf": "[Manager]\nCPUAffinity=\nCPUAffinity=4\n",
            },
            ("4", "/etc/systemd/system.conf.d/a.conf"),
        ),
        (
            {
                "etc/systemd/system.conf.d/b.conf": "[Manager]\nCPUAffinity=\n",
                "usr/lib/systemd/system.conf.d/a.conf": "[Manager]\nCPUAffinity=7\n",
            },
            ("", "/etc/systemd/system.conf.d/b.conf"),
        ),
    ],
)
def test_keys_of_systemd(tmp_path: Path, files: dict[str, str], expected: tuple[str, str] | None) -> None:
    """systemd-system.conf(5)."""
    file = "/etc/systemd/system.conf.d/90-ironbook.conf"
    assert persistence.systemd_key(written(tmp_path, files), file, "Manager", "CPUAffinity") == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"usr/lib/systemd/system/x.service": "[Unit]"}, ("disabled", "/usr/lib/systemd/system/x.service")),
        (
            {"usr/lib/systemd/system/x.service": "[Unit]", "etc/systemd/system/x.service": "-> /dev/null"},
            ("masked", "/etc/systemd/system/x.service"),
        ),
        (
            {
                "usr/lib/systemd/system/x.service": "[Unit]",
                "etc/systemd/system/a.target.wants/x.service": "-> /usr/lib/systemd/system/x.service",
            },
            ("enabled", "/etc/systemd/system/a.target.wants/x.service"),
        ),
    ],
)
def test_units(tmp_path: Path, files: dict[str, str], expected: tuple[str, str] | None) -> None:
    """systemctl(1): enable and mask are links."""
    assert persistence.unit(written(tmp_path, files), "x.service") == expected
