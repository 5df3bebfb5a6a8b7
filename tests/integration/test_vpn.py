# SPDX-License-Identifier: GPL-3.0-or-later
"""Both tunnels of a VPN connection come up between two hosts, by the configuration that the role vpn_peer writes.

The connection is made by our kinds on an emulator; the role asks for its configuration file as anybody would, and the
strongSwan of Debian reads what it has written. The other end, for AWS, is another strongSwan in another network: it
takes what AWS's documentation says that a tunnel takes, and only the suite of the connection. Not every kernel has ESP
and XFRM interfaces, so that both ends do ESP themselves (strongSwan's kernel-libipsec); such an end knows no interface
a tunnel, and each tunnel carries its own inside addresses alone instead of all that is routed into it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from emulated_aws import emulator
from integration.networks import Networks, networks
from integration.role_play import run_play
from local_processes import wait_for
from platform_resources import clients, first

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

NAME = "trading-vpn"
ROUTER = "203.0.113.10"
OPTIONS: dict[str, Any] = {
    "transit_gateways": [{"name": "trading"}],
    "customer_gateways": [{"name": "trading", "ip_address": ROUTER, "bgp_asn": 65010}],
    "vpn_connections": [{"name": NAME, "transit_gateway": "trading", "customer_gateway": "trading"}],
}
PLUGINS = "random nonce openssl pem pkcs1 x509 pubkey sha1 sha2 hmac kdf aes gcm kernel-libipsec kernel-netlink " \
          "socket-default vici updown"  # fmt: skip
PREMISES, AWS = 0, 1  # members of the networks


@dataclass
class Daemon:
    """A strongSwan in a network of its own, with its directory."""

    enter: list[str]
    directory: Path

    def swanctl(self, *words: str) -> str:
        """What swanctl says."""
        command = [*self.enter, "swanctl", words[0], "--uri", f"unix://{self.directory}/vici", *words[1:]]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout + done.stderr

    @property
    def environment(self) -> dict[str, str]:
        """Where its own files are."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "STRONGSWAN_CONF": str(self.directory / "strongswan.conf"),
            "SWANCTL_DIR": str(self.directory / "swanctl"),
        }

    def established(self) -> dict[str, bool]:
        """Name of each tunnel that is up -> whether it has carried anything."""
        said = self.swanctl("--list-sas")
        up = re.findall(r"^(\S+): #\d+, ESTABLISHED.*?(?=^\S|\Z)", said, re.MULTILINE | re.DOTALL)
        carried = re.findall(
            r"^  (\S+): #\d+.*INSTALLED.*?\n(?:    .*\n)*?    out .*?, +(\d+) bytes", said, re.MULTILINE
        )
        amounts = {name: int(amount) for name, amount in carried}
        return {name: amounts.get(name, 0) > 0 for name in up if name in amounts}


@contextmanager
def strongswan(enter: list[str], directory: Path) -> Iterator[Daemon]:
    """One that runs, and has read its configuration."""
    (directory / "strongswan.conf").write_text(
        f"charon-systemd {{\n load = {PLUGINS}\n plugins {{ vici {{ socket = unix://{directory}/vici }} }}\n"
        f" filelog {{ log {{ path = {directory}/charon.log\n default = 1\n flush_line = yes }} }}\n}}\n"
    )
    (directory / "swanctl" / "swanctl.conf").write_text("include conf.d/*.conf\n")
    daemon = Daemon(enter, directory)
    with (directory / "out").open("wb") as output:
        process = subprocess.Popen(
            [*enter, "charon-systemd"], env=daemon.environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for((directory / "vici").exists, "strongSwan")
        said = daemon.swanctl("--load-all")
        assert f"loaded connection '{NAME}-1'" in said and f"loaded connection '{NAME}-2'" in said, said
        yield daemon
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Peers:
    """Both ends, and what AWS says that the tunnels are."""

    premises: Daemon
    aws: Daemon
    tunnels: list[dict[str, Any]]
    written: str
    said: str


def play(directory: Path, url: str) -> str:
    """Have the role ask the emulator, and write into the directory; what it said."""
    tasks = [{"name": name, "ansible.builtin.include_role": {"name": "ironbook.trading.vpn_peer", "tasks_from": name}}
             for name in ("connection", "configuration")]  # fmt: skip
    aws = {
        "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    }  # fmt: skip
    play = {"hosts": "localhost", "gather_facts": False, "environment": aws, "tasks": tasks, "name": "Render"}
    (directory / "play.json").write_text(json.dumps([play]))
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"localhost": here}}}))
    variables = {
        "vpn_peer_connection_name": NAME, "vpn_peer_networks": ["192.168.0.0/16"], "vpn_peer_local_address": ROUTER,
        "vpn_peer_directory": str(directory),
    }  # fmt: skip
    said = ""
    for expected in ("changed=4", "changed=0"):
        done = run_play(directory, "--diff", "-vv", **variables)
        said += done.stdout + done.stderr
        assert done.returncode == 0 and expected in done.stdout, said
    return said


def without_interfaces(text: str, tunnels: list[dict[str, Any]]) -> str:
    """The written configuration for an end that does ESP itself: a tunnel carries its own addresses alone."""
    assert text.count("local_ts = 0.0.0.0/0") == text.count("remote_ts = 0.0.0.0/0") == 2
    for tunnel in tunnels:
        text = text.replace("local_ts = 0.0.0.0/0", f"local_ts = {tunnel['ours']}/32", 1)
        text = text.replace("remote_ts = 0.0.0.0/0", f"remote_ts = {tunnel['theirs']}/32", 1)
    return re.sub(r"^ +if_id_(in|out) = \d+\n", "", text, flags=re.MULTILINE)


def amazons(tunnels: list[dict[str, Any]]) -> str:
    """The other end: what each tunnel's options allow, and nothing else."""
    connections = "".join(
        f"{NAME}-{number} {{\n version = 2\n local_addrs = {each['OutsideIpAddress']}\n remote_addrs = {ROUTER}\n"
        f" proposals = aes256gcm16-prfsha512-ecp384\n local {{\n auth = psk\n id = {each['OutsideIpAddress']}\n }}\n"
        f" remote {{\n auth = psk\n id = {ROUTER}\n }}\n children {{\n {NAME}-{number} {{\n local_ts = 0.0.0.0/0\n"
        " remote_ts = 0.0.0.0/0\n esp_proposals = aes256gcm16-ecp384\n }\n }\n}\n"
        for number, each in enumerate(tunnels, 1)
    )
    secrets = "".join(
        f"ike-{number} {{\n id-a = {each['OutsideIpAddress']}\n id-b = {ROUTER}\n"
        f' secret = "{each["PreSharedKey"]}"\n}}\n'
        for number, each in enumerate(tunnels, 1)
    )
    return f"connections {{\n{connections}}}\nsecrets {{\n{secrets}}}\n"


def lay_out(net: Networks, tunnels: list[dict[str, Any]]) -> None:
    """Give both hosts their outside addresses and a way to each other, and the inside ones."""
    outside = [[ROUTER], [each["OutsideIpAddress"] for each in tunnels]]
    inside = [[each["ours"] for each in tunnels], [each["theirs"] for each in tunnels]]
    for member, host in enumerate(net.members):
        other = net.members[1 - member].address
        for address in outside[member]:
            run(host.enter, f"ip address add {address}/32 dev eth0")
        for address in inside[member]:
            run(host.enter, f"ip address add {address}/32 dev lo")
        for address in outside[1 - member]:
            run(host.enter, f"ip route add {address}/32 via {other} src {outside[member][0]}")


def run(enter: list[str], words: str) -> bool:
    return subprocess.run([*enter, *words.split()], capture_output=True, check=False, timeout=30).returncode == 0


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    directory = tmp_path_factory.mktemp("vpn")
    premises, aws = directory / "p", directory / "a"
    (aws / "swanctl" / "conf.d").mkdir(parents=True)
    premises.mkdir()
    with ExitStack() as stack:
        (directory / "emulator").mkdir()
        _, url = stack.enter_context(emulator(directory / "emulator"))
        client = clients(url)
        identifier = first(client, OPTIONS)
        (made,) = client("ec2").describe_vpn_connections(VpnConnectionIds=[identifier])["VpnConnections"]
        tunnels = made["Options"]["TunnelOptions"]
        for each in tunnels:
            begin = each["TunnelInsideCidr"].partition("/")[0].rpartition(".")
            each["theirs"], each["ours"] = (f"{begin[0]}.{int(begin[2]) + more}" for more in (1, 2))
        said = play(premises, url)
        configuration = premises / "swanctl" / "conf.d" / f"{NAME}.conf"
        written = configuration.read_text()
        assert configuration.stat().st_mode & 0o777 == 0o600
        configuration.write_text(without_interfaces(written, tunnels))
        (aws / "swanctl" / "conf.d" / "aws.conf").write_text(amazons(tunnels))
        net = stack.enter_context(networks(2))
        lay_out(net, tunnels)
        far = stack.enter_context(strongswan(net.members[AWS].enter, aws))
        near = stack.enter_context(strongswan(net.members[PREMISES].enter, premises))
        yield Peers(near, far, tunnels, written, said)


def reaches(peers: Peers, tunnel: dict[str, Any]) -> bool:
    return run(peers.premises.enter, f"ping -c 1 -W 2 -I {tunnel['ours']} {tunnel['theirs']}")


@pytest.mark.feature("HYB-03", by="G", repaired="vpn_connections")
def test_both_tunnels_come_up_and_a_ping_crosses_each(peers: Peers) -> None:
    wait_for(lambda: len(peers.premises.established()) == 2, "both tunnels")
    for tunnel in peers.tunnels:
        wait_for(lambda tunnel=tunnel: reaches(peers, tunnel), f"a ping to {tunnel['theirs']}", 20)
    assert peers.premises.established() == peers.aws.established() == {f"{NAME}-1": True, f"{NAME}-2": True}
    said = peers.premises.swanctl("--list-sas")
    assert said.count("AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384") == 2
    assert said.count("ESP:AES_GCM_16-256") == 2


def test_without_its_tunnel_nothing_crosses(peers: Peers) -> None:
    """Else the ping would say nothing of ESP."""
    wait_for(lambda: len(peers.premises.established()) == 2, "both tunnels")
    peers.aws.swanctl("--terminate", "--ike", f"{NAME}-2", "--force")
    wait_for(lambda: f"{NAME}-2" in peers.premises.established(), "the tunnel's new beginning", 60)
    peers.premises.swanctl("--terminate", "--ike", f"{NAME}-1", "--force")
    peers.aws.swanctl("--terminate", "--ike", f"{NAME}-1", "--force")
    first_tunnel, second = peers.tunnels
    assert f"{NAME}-1" not in peers.premises.established() and not reaches(peers, first_tunnel)
    wait_for(lambda: reaches(peers, second), "the other tunnel")
    peers.premises.swanctl("--initiate", "--child", f"{NAME}-1")
    wait_for(lambda: reaches(peers, first_tunnel), "the first tunnel again")


def test_no_key_is_in_what_ansible_said(peers: Peers) -> None:
    assert all(tunnel["PreSharedKey"] in peers.written for tunnel in peers.tunnels)
    assert not any(tunnel["PreSharedKey"] in peers.said for tunnel in peers.tunnels)


def test_bird_takes_what_is_written(peers: Peers) -> None:
    configuration = peers.premises.directory / "bird" / "bird.conf"
    done = subprocess.run(["bird", "-p", "-c", str(configuration)], env=peers.premises.environment,
                          capture_output=True, text=True, check=False, timeout=30)  # fmt: skip
    assert done.returncode == 0, done.stderr
    configuration.write_text(configuration.read_text().replace("neighbor", "nieghbor"))
    broken = subprocess.run(["bird", "-p", "-c", str(configuration)], env=peers.premises.environment,
                            capture_output=True, check=False, timeout=30)  # fmt: skip
    assert broken.returncode != 0
