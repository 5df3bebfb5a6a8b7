# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint of the local PostgreSQL: by TLS alone, by its own certificate alone, and no narrower for all that."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from integration.tls_files import tls_files
from local_processes import LocalSite, local_site, wait_for

pytestmark = pytest.mark.integration

SSL_REQUEST = struct.pack("!II", 8, 80877103)


@pytest.fixture(scope="module")
def site() -> Iterator[LocalSite]:
    with local_site() as running:
        yield running


def authority(site: LocalSite) -> Path:
    return site.state / "secrets" / "postgres_authority.pem"


def where(site: LocalSite, **more: str) -> dict[str, str]:
    """How to reach it, for libpq; what is given in place of what is right."""
    right = {
        "host": "127.0.0.1",
        "port": str(site.port + 1),
        "user": "rdsadmin",
        "dbname": "postgres",
        "password": (site.state / "secrets" / "postgres_superuser_password").read_text().strip(),
        "sslmode": "verify-full",
        "sslrootcert": str(authority(site)),
        "connect_timeout": "10",
    }
    return right | more


def psql(site: LocalSite, *commands: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Debian's psql, whose libpq and OpenSSL are not those of our Python packages."""
    target = where(site, **more)
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": target.pop("password")}
    words = [word for command in commands for word in ("-c", command)]
    return subprocess.run(
        ["psql", "-XAt", " ".join(f"{name}='{value}'" for name, value in target.items()), *words],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_that_verifies_is_served(site, host) -> None:
    done = psql(site, r"\conninfo", "select 6 * 7", host=host)
    assert done.returncode == 0, done.stderr
    assert "SSL connection (protocol: TLSv1.3" in done.stdout
    assert done.stdout.splitlines()[-1] == "42"


def test_one_with_another_authority_is_not(site, tmp_path) -> None:
    other = tls_files(tmp_path)
    for bundle in (other.authority, Path(ssl.get_default_verify_paths().openssl_cafile)):
        if bundle.exists():
            done = psql(site, "select 1", sslrootcert=str(bundle))
            assert (done.returncode, "certificate verify failed" in done.stderr) == (2, True), done.stderr


def test_one_in_clear_text_is_refused_in_postgresqls_words(site) -> None:
    done = psql(site, "select 1", sslmode="disable", sslrootcert="")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'no pg_hba.conf entry for host "127.0.0.1", user "rdsadmin", database "postgres", no encryption' in (
        done.stderr
    )
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(**where(site, sslmode="disable", sslrootcert=""))


def test_the_password_is_asked_for_behind_it_as_well(site) -> None:
    done = psql(site, "select 1", password="wrong")
    assert (done.returncode, "password authentication failed" in done.stderr) == (2, True)
    done = psql(site, "select 1", host=str(site.state / "run"), sslmode="disable", sslrootcert="", password="wrong")
    assert (done.returncode, "password authentication failed" in done.stderr) == (2, True)


def test_postgresql_itself_listens_on_no_port(site) -> None:
    done = psql(site, "show listen_addresses", "show unix_socket_directories")
    assert done.stdout.splitlines() == ["", f'"{site.state}/run"']


def test_what_comes_in_clear_text_behind_the_request_does_not_count_as_encrypted(site) -> None:
    """CVE-2021-23214: a query that somebody between has put there must not run in the session that follows."""
    startup = struct.pack("!II", 8, 196608)
    with socket.create_connection(("127.0.0.1", site.port + 1), timeout=10) as client:
        client.sendall(SSL_REQUEST + startup)
        assert client.recv(1) == b"S"
        context = ssl.create_default_context(cafile=str(authority(site)))
        context.check_hostname = False  # nothing but those bytes is to be why it fails
        with pytest.raises(OSError, match=r"."), context.wrap_socket(client, server_hostname="127.0.0.1"):
            pass
    assert psql(site, "select 1").stdout == "1\n"


def test_a_query_is_cancelled_and_a_client_that_dies_takes_its_query_along(site) -> None:
    running = "select count(*) from pg_stat_activity where query like 'select pg_sleep(60%'"
    with psycopg.connect(**where(site), autocommit=True) as watcher:

        def count(wanted: int) -> Callable[[], bool]:
            return lambda: watcher.execute(running).fetchone() == (wanted,)

        with psycopg.connect(**where(site)) as connection:
            failures: list[BaseException] = []

            def query() -> None:
                try:
                    connection.execute("select pg_sleep(60)")
                except psycopg.Error as error:
                    failures.append(error)

            thread = threading.Thread(target=query)
            thread.start()
            wait_for(count(1), "the query")
            connection.cancel_safe()
            thread.join(30)
            assert [type(failure) for failure in failures] == [psycopg.errors.QueryCanceled]

        watcher.execute("alter system set client_connection_check_interval = '100ms'")
        watcher.execute("select pg_reload_conf()")
        dying = subprocess.Popen(
            ["psql", "-X", " ".join(f"{name}='{value}'" for name, value in where(site).items()),
             "-c", "select pg_sleep(60.5)"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(count(1), "the other query")
        dying.kill()
        dying.wait()
        wait_for(count(0), "its end", seconds=20)
        watcher.execute("alter system reset client_connection_check_interval")
        watcher.execute("select pg_reload_conf()")


def test_much_goes_both_ways_at_once_and_arrives_as_it_was(site) -> None:
    """A pipeline: the client goes on sending while the server answers, each more than any buffer between holds."""
    words = [os.urandom(20_000).hex() for _ in range(200)]
    with psycopg.connect(**where(site)) as connection, connection.pipeline():
        cursors = [connection.execute("select %s::text", [word]) for word in words]
        assert [cursor.fetchone()[0] for cursor in cursors] == words  # type: ignore[index]


def test_where_postgresql_is_down_nobody_is_told_otherwise(site) -> None:
    site.supervisorctl("stop", "postgres")
    try:
        begin = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**where(site))
        assert time.monotonic() - begin < 5
    finally:
        site.up()
    assert psql(site, "select 1").stdout == "1\n"


def test_the_certificate_is_made_once_and_its_authority_signs_nothing_more(site) -> None:
    secrets = site.state / "secrets"
    before = {path: path.read_bytes() for path in secrets.glob("postgres_*.pem")}
    assert sorted(path.name for path in before) == ["postgres_authority.pem", "postgres_certificate.pem"]
    site.restart("postgres-tls")
    assert {path: path.read_bytes() for path in before} == before
    assert {path.stat().st_mode & 0o777 for path in before} == {0o600}
    assert before[authority(site)].count(b"-----BEGIN") == 1, "its key is nowhere"
    signer = x509.load_pem_x509_certificate(before[authority(site)])
    shown = x509.load_pem_x509_certificate(before[secrets / "postgres_certificate.pem"])
    shown.verify_directly_issued_by(signer)
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["127.0.0.1", "localhost"]


def test_one_that_was_lost_is_made_anew_with_its_authority(site) -> None:
    (site.state / "secrets" / "postgres_certificate.pem").unlink()
    old = authority(site).read_bytes()
    site.restart("postgres-tls")
    assert authority(site).read_bytes() != old
    assert psql(site, "select 1").stdout == "1\n"
