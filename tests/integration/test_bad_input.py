# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input, given to a playbook as a person would give it: one line names the thing and the remedy, before anything.

One emulator and one PostgreSQL serve the whole file. Nothing here can reach AWS: each run has an endpoint on this
machine, and where it has none, our own guard is what is tested, with credentials that are nobody's.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from local_processes import ROOT, LocalSite, free_port, local_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ACCOUNT = "123456789012"  # the emulator's
MESSAGES = "AAPL_2012-06-21_34200000_37800000_message_50.csv"
NOBODYS_KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "testing"}  # AWS's own example
PROFILE_ALONE = {"AWS_PROFILE": "production", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
EXPIRED = (
    b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
    b"<Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error>"
    b"<RequestId>1</RequestId></ErrorResponse>"
)


class Venue:
    """The site of this file, and a way to run a playbook on it."""

    def __init__(self, site: LocalSite, directory: Path) -> None:
        self.site = site
        self.directory = directory
        self.environment = site.environment() | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "MARKET_DATA": str(self.market_data("34200.1,1,5,10,500,1\n", "good")),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self.environment |= dict(line.split("=", 1) for line in site.local("env").stdout.split())

    def refused(self, *options: str, inventory: str = "local", book: str = "preflight", **changed: str | None) -> str:
        """Run a playbook, which has to fail, with a changed environment (None: not set); return its one line."""
        done = self.play(*options, inventory=inventory, book=book, **changed)
        assert done.returncode != 0, done.stdout
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(lines) == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert "failed:" not in done.stdout  # each failure is told once
        return lines[0]

    def play(self, *options: str, inventory: str, book: str, **changed: str | None) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end."""
        environment = {**self.environment, **changed}
        return subprocess.run(
            ["ansible-playbook", "-i", str(ROOT / "inventories" / inventory), f"ironbook.trading.{book}", *options],
            cwd=ROOT,
            env={name: value for name, value in environment.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def with_variables(self, text: str, inventory: str = "local") -> str:
        """Copy an inventory and add a file of variables; return the copy's path."""
        copy = Path(self.directory / f"inventory-{len(list(self.directory.iterdir()))}")
        shutil.copytree(ROOT / "inventories" / inventory, copy)
        (copy / "group_vars" / "all" / "own.yml").write_text(text)
        return str(copy)

    def market_data(self, text: str, name: str, file: str = MESSAGES) -> Path:
        """Write a message file; return the directory that holds it."""
        place = self.directory / name
        place.mkdir()
        (place / file).write_text(text)
        return place

    def resources(self) -> int:
        """How many resources provision has made."""
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
        ec2 = boto3.client("ec2", endpoint_url=self.environment["AWS_ENDPOINT_URL"], **keys)
        return sum(not vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"])


@pytest.fixture(scope="module", name="venue")
def bad_venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with local_site() as site:
        yield Venue(site, tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module", name="expired")
def expired_endpoint() -> Iterator[str]:
    """An AWS that answers every question as it does to credentials that have expired."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.send_header("Content-Length", str(len(EXPIRED)))
            self.end_headers()
            self.wfile.write(EXPIRED)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with http.server.HTTPServer(("127.0.0.1", free_port()), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# ------------------------------------------------------------------------------------------------------- variables


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("aws_streams_shard_cout: 1\n", "is not a variable of any role; did you mean aws_streams_shard_count?"),
        ("aws_database_backup_days: many\n", "aws_database_backup_days is 'many'; type int is wanted"),
        ("aws_database_backup_days: 99\n", "aws_database_backup_days is 99; the most is 35"),
    ],
)
def test_a_variable_of_the_inventory(venue: Venue, text: str, line: str) -> None:
    said = venue.refused(inventory=venue.with_variables(text))
    assert "own.yml:1: " in said
    assert said.endswith(line)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (
            "session_replay_sped=5",
            "-e: session_replay_sped is not a variable of any role; did you mean session_replay_speed?",
        ),
        ("aws_database_multi_az=perhaps", "-e: aws_database_multi_az is 'perhaps'; type bool is wanted"),
        ("session_replay_speed=-1", "-e: session_replay_speed is -1.0; the least is 0"),
    ],
)
def test_a_variable_of_the_command_line(venue: Venue, option: str, line: str) -> None:
    assert venue.refused("-e", option).endswith(line)


def test_variables_of_the_users_own_and_numbers_as_text_pass(venue: Venue) -> None:
    options = ("-e", "colour=red aws_network_nat_gateway_count=1 session_replay=no aws_database_storage_gib=50")
    done = venue.play(*options, inventory="local", book="preflight")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_replayed_session_in_production(venue: Venue) -> None:
    said = venue.refused("-e", f'{{"aws_account_id": "{ACCOUNT}", "session_replay": true}}', inventory="production")
    assert "session_replay is set and ironbook_environment is production" in said
    assert said.endswith("Remove session_replay from this inventory.")


def test_no_state_directory(venue: Venue) -> None:
    assert "ironbook_state_directory is ''; it has to match /.+" in venue.refused(IRONBOOK_STATE="")


def test_the_rule_that_a_network_acl_has_no_room_for(venue: Venue) -> None:
    """Production has 20 with two partners; a third one's network is the 21st, unless AWS takes more."""
    three = {
        "aws_account_id": ACCOUNT,
        "aws_network_partner_cidrs": ["192.0.2.0/25", "192.0.2.128/25", "198.51.100.0/24"],
    }
    assert (
        "the network ACL production-trading-engine-private would have 21 rules of egress, AWS's own last one among "
        "them, and AWS takes 20 (aws_network_acl_quota). The rules are for aws_network_partner_cidrs 3, "
        "aws_network_on_premises_cidrs 1, aws_network_public_cidrs 3, aws_network_private_cidrs 3, "
        "aws_network_database_cidrs (a rule for each of aws_network_database_ports) 9. Put networks together there"
    ) in venue.refused("-e", json.dumps(three), inventory="production")
    raised = json.dumps(three | {"aws_network_acl_quota": 40})
    assert venue.play("-e", raised, inventory="production", book="preflight").returncode == 0


def test_authorities_of_the_database_that_are_not_there(venue: Venue) -> None:
    """Found after the database had been made, whose schema nobody could then connect to."""
    account = json.dumps({"aws_account_id": ACCOUNT})
    assert (
        f"ironbook_database_ca_certificate: {venue.site.state}/rds-global-bundle.pem is no file on this machine. The "
        "authorities of RDS are https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem: put that there"
    ) in venue.refused("-e", account, inventory="production", book="provision")
    assert venue.resources() == 0


SPOT = "takes a spot instance back at two minutes' notice"
VOLATILITY = {"namespace": "Trading", "name": "Volatility", "target": 2.0}


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        pytest.param(
            {"aws_compute_market": "spot"},
            f"aws_compute_market is spot: AWS {SPOT}, and with it a member of the shard; engines are on_demand",
            marks=pytest.mark.feature("HFT-10", by="U"),
        ),
        (
            {"aws_compute_instance_type": "c5n.large", "aws_compute_require_100g": True},
            "aws_compute_instance_type: c5n.large has less than 100 Gb/s: take c5n.18xlarge or c5n.metal",
        ),
        (
            {"aws_compute_instance_type": "c5n.mettal"},
            "c5n.mettal is no instance type of EC2 that this",
        ),
        (
            {"aws_compute_root_gib": 20, "aws_compute_root_iops": 16000},
            "aws_compute_root_iops is 16000, and a volume of aws_compute_root_gib (20 GiB) has at most 10000",
        ),
        (
            {"aws_compute_root_iops": 3000, "aws_compute_root_mibps": 1000},
            "aws_compute_root_mibps is 1000, and aws_compute_root_iops (3000) carry at most 750",
        ),
        (
            {"aws_compute_workers_most": 2, "aws_compute_workers_least": 3, "aws_compute_workers_metric": VOLATILITY},
            "aws_compute_workers_least is 3, and aws_compute_workers_most 2",
        ),
        (
            {"aws_compute_workers_most": 2, "aws_compute_workers_metric": {"name": "Volatility"}},
            "aws_compute_workers_metric has no namespace and no target: nothing would say how many of the workers",
        ),
        (
            {
                "aws_compute_workers_most": 2,
                "aws_compute_workers_metric": VOLATILITY,
                "aws_compute_workers_instance_type": "c6i.2xlrage",
            },
            "aws_compute_workers_instance_type: c6i.2xlrage is no instance type of EC2",
        ),
        (
            {"aws_database_storage_gib": 399, "aws_database_storage_iops": 12000},
            "aws_database_storage_iops and aws_database_storage_mibps are 12000 and 0: gp3 takes them from 400 GiB on",
        ),
    ],
)
def test_what_no_host_and_no_database_can_have(venue: Venue, variables: dict[str, object], line: str) -> None:
    """AWS is asked whose the credentials are, and for hosts by the inventory itself; nothing more."""
    asked = venue.site.state / "emulator" / "requests"
    asked.parent.mkdir(exist_ok=True)
    asked.write_text("")
    assert line in venue.refused("-e", json.dumps(variables))
    actions = {json.loads(request)["action"] for request in asked.read_text().splitlines()}
    assert actions == {"GetCallerIdentity", "DescribeInstances"}


# ----------------------------------------------------------------------------------------------------- market data


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        (MESSAGES, "34200.1,1,5,10,500,1\n34200.2,1,6,ten,500,1\n", f"{MESSAGES}:2: field size: 'ten' is not"),
        (MESSAGES, "34200.1,1,5,10,500\n", f"{MESSAGES}:1: field direction: the line has 5 columns, not 6"),
        (MESSAGES.replace("AAPL", "MSFT"), "34200.1,1,5,10,500,1\n", "MSFT is not one of shard 0 (AAPL): add it in"),
        ("notes.txt", "hello\n", "holds no LOBSTER message file"),
    ],
)
def test_market_data(venue: Venue, file: str, text: str, line: str, request: pytest.FixtureRequest) -> None:
    place = venue.market_data(text, f"market-{len(list(venue.directory.iterdir()))}", file)
    said = venue.refused(book="site", MARKET_DATA=str(place))
    assert line in said
    assert said.endswith("name another file as MARKET_DATA")
    assert venue.resources() == 0, "something was made before the file was read"


# ----------------------------------------------------------------------------------------------- account and emulator


def test_the_emulator_does_not_answer(venue: Venue) -> None:
    said = venue.refused(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    assert said.endswith("does not answer (Connection refused); start the emulator with `ironbook local up`")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"AWS_ENDPOINT_URL": None, **NOBODYS_KEYS}, "AWS_ENDPOINT_URL is not set, so this would reach AWS itself"),
        ({"AWS_ENDPOINT_URL_EC2": "http://192.0.2.1", **NOBODYS_KEYS}, "AWS_ENDPOINT_URL_EC2 is http://192.0.2.1"),
        ({"AWS_ENDPOINT_URL": None, **PROFILE_ALONE}, "AWS_ENDPOINT_URL is not set, so this would reach"),
    ],
)
def test_credentials_of_a_real_account(venue: Venue, changed: dict[str, str | None], line: str) -> None:
    said = venue.refused(**changed)
    assert line in said
    assert said.endswith("start it with `ironbook local up`")


def test_a_profile_beside_keys(venue: Venue) -> None:
    said = venue.refused(AWS_ENDPOINT_URL=None, AWS_PROFILE="production")
    assert "AWS_PROFILE and AWS_ACCESS_KEY_ID are both set" in said
    assert said.endswith("unset one")


@pytest.mark.parametrize("inventory", ["example", "production"])
def test_another_account_than_the_inventorys(venue: Venue, inventory: str) -> None:
    said = venue.refused(inventory=inventory)
    assert f"the credentials are of account {ACCOUNT}, the inventory is for 111122223333 (aws_account_id)" in said


def test_no_credentials(venue: Venue) -> None:
    said = venue.refused(inventory="example", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert said.endswith("locate credentials; export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")


def test_expired_credentials(venue: Venue, expired: str) -> None:
    said = venue.refused(inventory="example", AWS_ENDPOINT_URL=expired)
    assert "ExpiredToken: The security token included in the request is expired; log in again" in said


def test_no_region(venue: Venue) -> None:
    said = venue.refused(inventory="example", AWS_REGION=None)
    assert "AWS_REGION not set: export AWS_REGION=us-east-1" in said


# -------------------------------------------------------------------------------------------------------- database


@pytest.fixture(scope="module", name="schema")
def database_of_no_hosts(venue: Venue) -> dict[str, object]:
    """Variables with which migrate needs no host and asks AWS for no database: the PostgreSQL of the site is there."""
    files = venue.directory / "migrations"
    shutil.copytree(ROOT / "roles" / "rds_schema" / "files", files)
    return {
        "ironbook_engine_hosts": [],
        "ironbook_shards": [],
        "session_replay": False,
        "rds_schema_host": "127.0.0.1",
        "rds_schema_port": venue.site.port + 1,
        "rds_schema_user": "rdsadmin",
        "rds_schema_database": "postgres",
        "rds_schema_password_file": str(venue.site.state / "secrets" / "postgres_superuser_password"),
        "rds_schema_directory": str(files),
    }


def test_a_database_that_nobody_serves(venue: Venue, schema: dict[str, object]) -> None:
    said = venue.refused("-e", json.dumps(schema | {"rds_schema_port": free_port()}), book="migrate")
    assert "database postgres at 127.0.0.1:" in said
    assert "Is the server running" in said


def test_a_wrong_password(venue: Venue, schema: dict[str, object]) -> None:
    wrong = venue.directory / "wrong_password"
    wrong.write_text("wrong\n")
    said = venue.refused("-e", json.dumps(schema | {"rds_schema_password_file": str(wrong)}), book="migrate")
    assert "password authentication failed" in said
    assert "Check the user and the password" in said


def test_an_edited_migration_that_was_applied(venue: Venue, schema: dict[str, object]) -> None:
    done = venue.play("-e", json.dumps(schema), inventory="local", book="migrate")
    assert done.returncode == 0, done.stdout + done.stderr
    (first, *_) = sorted(Path(str(schema["rds_schema_directory"])).glob("V0001*.sql"))
    first.write_text(first.read_text() + "\nSELECT 1;\n")
    said = venue.refused("-e", json.dumps(schema), book="migrate")
    assert first.name in said
