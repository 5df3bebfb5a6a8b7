# SPDX-License-Identifier: GPL-3.0-or-later
"""An RDS instance of the emulator is a real PostgreSQL: its master user logs in at the endpoint that RDS describes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from local_processes import local_site

pytestmark = pytest.mark.integration

PASSWORD = "first-Password-1"


@pytest.fixture(scope="module")
def site() -> Iterator[Any]:
    """One local site for all tests of this file."""
    with local_site() as running:
        yield running


@pytest.fixture
def rds(site) -> Any:
    return boto3.client(
        "rds",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{site.port}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )


def create(rds, name: str, **more) -> dict[str, Any]:
    arguments = {
        "DBInstanceIdentifier": name,
        "Engine": "postgres",
        "EngineVersion": "16.1",
        "DBInstanceClass": "db.r6i.large",
        "AllocatedStorage": 100,
        "MasterUsername": "trading_admin",
        "MasterUserPassword": PASSWORD,
        "DBName": "trading_platform",
    }
    return rds.create_db_instance(**arguments | more)


def log_in(rds, name: str, password: str, database: str = "trading_platform") -> psycopg.Connection:
    instance = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return psycopg.connect(
        host=instance["Endpoint"]["Address"],
        port=instance["Endpoint"]["Port"],
        user=instance["MasterUsername"],
        password=password,
        dbname=database,
        connect_timeout=5,
    )


def test_stock_moto_answers_with_a_name_that_leads_nowhere() -> None:
    """In a process of its own, since moto's mock would change boto3 in this one."""
    script = """
import boto3, moto
with moto.mock_aws():
    rds = boto3.client("rds", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    answer = rds.create_db_instance(DBInstanceIdentifier="a", Engine="postgres", DBInstanceClass="db.r6i.large")
    print(answer["DBInstance"]["Endpoint"]["Address"])
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip().endswith(".us-east-1.rds.amazonaws.com")


def test_the_master_user_logs_in_with_the_rights_that_rds_gives(rds, site) -> None:
    answer = create(rds, "first")
    body = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    shape = rds.meta.service_model.operation_model("CreateDBInstance").output_shape
    report = ParamValidator().validate(body, shape)
    assert not report.has_errors(), report.generate_report()
    assert answer["DBInstance"]["Endpoint"] == {"Address": "127.0.0.1", "Port": site.port + 1}

    with log_in(rds, "first", PASSWORD) as connection:
        rights = "rolcanlogin, rolcreatedb, rolcreaterole, rolsuper, rolreplication, rolbypassrls"
        row = connection.execute(f"select {rights} from pg_roles where rolname = current_user").fetchone()
        assert row == (True, True, True, False, False, False)
        owner = "select pg_get_userbyid(datdba) from pg_database where datname = current_database()"
        assert connection.execute(owner).fetchone() == ("trading_admin",)


def test_a_new_master_password_works_and_the_old_one_does_not(rds) -> None:
    create(rds, "second", MasterUsername="second_admin")
    rds.modify_db_instance(DBInstanceIdentifier="second", MasterUserPassword="other-Password-2", ApplyImmediately=True)
    log_in(rds, "second", "other-Password-2").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(rds, "second", PASSWORD)


def test_the_password_is_in_no_log_of_the_server(rds, site) -> None:
    create(rds, "third", MasterUsername="third_admin", MasterUserPassword="needle-Password-3")
    log_in(rds, "third", "needle-Password-3").close()
    logs = [path.read_text() for path in (site.state / "log").iterdir()]
    assert any("emulator:" in log for log in logs)
    assert not any("needle-Password-3" in log for log in logs)


def test_data_outlives_the_emulator_and_the_given_password_counts(rds, site) -> None:
    create(rds, "fourth", MasterUsername="fourth_admin", DBName="fourth")
    with log_in(rds, "fourth", PASSWORD, "fourth") as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (42)")
    site.restart("emulator")
    assert rds.describe_db_instances()["DBInstances"] == []
    create(rds, "fourth", MasterUsername="fourth_admin", DBName="fourth", MasterUserPassword="later-Password-4")
    with log_in(rds, "fourth", "later-Password-4", "fourth") as connection:
        assert connection.execute("select n from kept").fetchone() == (42,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"MasterUsername": "rdsadmin"}, "MasterUsername rdsadmin"),
        ({"MasterUsername": "pg_monitor"}, "MasterUsername pg_monitor"),
        ({"MasterUsername": "1st"}, "MasterUsername 1st"),
        ({"MasterUserPassword": "short"}, "MasterUserPassword"),
        ({"MasterUserPassword": "with space in it"}, "MasterUserPassword"),
        ({"MasterUserPassword": "with/slash/in/it"}, "MasterUserPassword"),
        ({"DBName": "two words"}, "DBName two words"),
    ],
)
def test_refusals_leave_no_instance(rds, arguments, message) -> None:
    with pytest.raises(ClientError, match=f"InvalidParameterValue.*{message}"):
        create(rds, "refused", **arguments)
    with pytest.raises(ClientError, match="DBInstanceNotFound"):
        rds.describe_db_instances(DBInstanceIdentifier="refused")


def test_without_postgresql_there_is_one_clear_line_and_no_instance(rds, site) -> None:
    site.supervisorctl("stop", "postgres")
    try:
        with pytest.raises(ClientError, match=rf"the local PostgreSQL at 127\.0\.0\.1:{site.port + 1} refused"):
            create(rds, "nowhere")
        with pytest.raises(ClientError, match="DBInstanceNotFound"):
            rds.describe_db_instances(DBInstanceIdentifier="nowhere")
    finally:
        site.supervisorctl("start", "postgres")


def test_another_engine_keeps_motos_answer(rds) -> None:
    answer = create(rds, "mysql", Engine="mysql", EngineVersion="8.0.35", MasterUsername="rdsadmin")
    assert answer["DBInstance"]["Endpoint"]["Address"].endswith("rds.amazonaws.com")


def test_the_superuser_is_not_the_master_user(site) -> None:
    password_file: Path = site.state / "secrets" / "postgres_superuser_password"
    assert password_file.stat().st_mode & 0o777 == 0o600


# ------------------------------------------------------------------------------------------------------- gp3 storage


def test_stock_moto_tells_no_throughput() -> None:
    script = """
import boto3, moto
with moto.mock_aws():
    rds = boto3.client("rds", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    answer = rds.create_db_instance(
        DBInstanceIdentifier="a", Engine="postgres", DBInstanceClass="db.r6i.large", AllocatedStorage=100,
        StorageType="gp3", Iops=3000,
    )
    print(answer["DBInstance"].get("StorageThroughput"))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "None"


def storage_of(rds, name: str) -> tuple[str, int, int]:
    (instance,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return instance["StorageType"], instance["Iops"], instance["StorageThroughput"]


def test_a_small_database_on_gp3_has_what_all_have(rds) -> None:
    create(rds, "small", MasterUsername="small_admin", DBName="small", StorageType="gp3", AllocatedStorage=399)
    assert storage_of(rds, "small") == ("gp3", 3000, 125)
    for asked in ({"Iops": 12000}, {"StorageThroughput": 500}):
        with pytest.raises(ClientError, match=r"InvalidParameterCombination.*storage size less than 400"):
            rds.modify_db_instance(DBInstanceIdentifier="small", ApplyImmediately=True, **asked)
        with pytest.raises(ClientError, match=r"InvalidParameterCombination.*storage size less than 400"):
            create(rds, "refused", StorageType="gp3", **asked)
    assert storage_of(rds, "small") == ("gp3", 3000, 125)


def test_a_large_database_on_gp3_may_have_more(rds) -> None:
    large = {"StorageType": "gp3", "AllocatedStorage": 400}
    create(rds, "large", MasterUsername="large_admin", DBName="large", **large)
    assert storage_of(rds, "large") == ("gp3", 12000, 500)
    more = {"Iops": 20000, "StorageThroughput": 1000}
    rds.modify_db_instance(DBInstanceIdentifier="large", ApplyImmediately=True, **more)
    assert storage_of(rds, "large") == ("gp3", 20000, 1000)
    for asked in ({"Iops": 11999}, {"Iops": 64001}, {"StorageThroughput": 4001}):
        with pytest.raises(ClientError, match="InvalidParameterCombination"):
            create(rds, "refused", **large, **asked)


def test_other_storage_keeps_motos_answer(rds) -> None:
    create(rds, "older", MasterUsername="older_admin", DBName="older", StorageType="gp2")
    (instance,) = rds.describe_db_instances(DBInstanceIdentifier="older")["DBInstances"]
    assert "StorageThroughput" not in instance and "Iops" not in instance
