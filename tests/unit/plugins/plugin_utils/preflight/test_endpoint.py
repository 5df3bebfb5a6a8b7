# SPDX-License-Identifier: GPL-3.0-or-later
"""All that we start reads the same credentials and endpoint, and a local inventory reaches nothing but this machine."""

from __future__ import annotations

import os
import re
from importlib import import_module, resources
from pathlib import Path

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import endpoint

URL = "http://127.0.0.1:18000"
LOOPBACK = {"AWS_ENDPOINT_URL": URL}
ENVIRONMENTS = ["local", "dev", "staging", "production", "dr", ""]
KNOWN = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
         "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "ANSIBLE_DEBUG_BOTOCORE_LOGS"}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore reads is the endpoint of a local site, and what a test sets."""
    for name in os.environ:
        if name.startswith(("AWS_", "EC2_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", URL)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.mark.parametrize(
    "url",
    [URL, "http://localhost:1", "http://LOCALHOST", "https://[::1]:1", "http://127.9.9.9", "http://127.0.0.1:1/"],
)
def test_this_machine_is_loopback(url: str) -> None:
    assert endpoint.is_loopback(url)


ELSEWHERE = ["https://ec2.us-east-1.amazonaws.com", "http://127.0.0.1.evil.example", "http://10.0.0.1",
             "http://localhost.evil.example"]  # fmt: skip
# urlsplit finds the loopback in some of these, and urllib3 another host.
MALFORMED = [
    "http://ec2.us-east-1.amazonaws.com\\@127.0.0.1:17000",
    "http://evil.example\\@localhost",
    "http://127.0.0.1@evil.example",
    "http://evil.example@127.0.0.1",
    "http://evil.example\t@127.0.0.1",
    " http://127.0.0.1:1",
    "http://127.0.0.1:1\n",
    "http://127.0.0.1\x00",
    "http://127.0.0.1:1/x",
    "http://127.0.0.1?@evil.example",
    "http://127.0.0.1#@evil.example",
    "http://127.0.0.1:١٧٠٠٠",
    "http://[::1%25eth0]",
    "http://127.0.0.1:",
    "127.0.0.1:21000",
    "//127.0.0.1",
    "ftp://127.0.0.1",
]


@pytest.mark.parametrize("url", [*ELSEWHERE, *MALFORMED, "http://", ""])
def test_anything_else_is_not(url: str) -> None:
    assert not endpoint.is_loopback(url)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("url", MALFORMED)
def test_a_url_with_more_than_scheme_host_and_port_is_refused_without_repeating_it(url: str, environment: str) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"):
        (line,) = endpoint.endpoint_problems(environment, LOOPBACK | {name: url})
        assert line.startswith(f"{name} has to be http://HOST:PORT")
        assert line.isprintable() and url not in line  # there may be a password in it


@pytest.mark.parametrize("variables", [{}, {"NO_PROXY": "*"}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}])
def test_a_local_inventory_with_a_loopback_endpoint_passes(variables: dict[str, str]) -> None:
    assert endpoint.endpoint_problems("local", LOOPBACK | {"AWS_ENDPOINT_URL_S3": URL} | variables) == []


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_ENDPOINT_URL": ""},
        *({"AWS_ENDPOINT_URL": url} for url in ELSEWHERE),
        LOOPBACK | {"AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com"},
        LOOPBACK | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"},
        LOOPBACK | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": " true"},
    ],
)
def test_a_local_inventory_that_reaches_further_is_refused(variables: dict[str, str]) -> None:
    (line,) = endpoint.endpoint_problems("local", variables)
    assert "ironbook local up" in line


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("exempt", [{}, {"NO_PROXY": "example.org"}, {"NO_PROXY": "127.0.0.1", "no_proxy": ""}])
def test_a_local_inventory_is_not_used_through_a_proxy(name: str, exempt: dict[str, str]) -> None:
    (line,) = endpoint.endpoint_problems("local", LOOPBACK | {name: PROXY} | exempt)
    assert line.startswith(f"{name} is set, and NO_PROXY does not exempt 127.0.0.1:18000: ")
    assert "ironbook local env" in line


@pytest.mark.parametrize("exempt", [{"NO_PROXY": "127.0.0.1"}, {"no_proxy": "x,127.0.0.1"}, {"NO_PROXY": "*"}])
def test_an_exempt_loopback_passes_and_so_does_a_proxy_elsewhere(exempt: dict[str, str]) -> None:
    assert endpoint.endpoint_problems("local", LOOPBACK | {"HTTP_PROXY": PROXY} | exempt) == []
    assert endpoint.endpoint_problems("production", {"HTTPS_PROXY": PROXY}) == []


def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_what_boto3_really_uses_is_the_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert endpoint.configured_problems("local", os.environ) == []
    configuration(tmp_path, monkeypatch, "[default]\nignore_configured_endpoint_urls = true\n")
    (line,) = endpoint.configured_problems("local", os.environ)
    assert line.startswith("boto3 would ask https://sts.")
    assert f"and not {URL}" in line


def test_a_profile_that_does_not_exist_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    for environment in ("local", "production"):
        if environment == "production":
            monkeypatch.delenv("AWS_ENDPOINT_URL")
        (line,) = endpoint.configured_problems(environment, os.environ)
        assert "nobody" in line and "\n" not in line


SERVICES = "[default]\nservices = x\n{more}[services x]\nec2 =\n  endpoint_url = https://ec2.example\n"


def test_one_service_elsewhere_in_the_configuration_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration(tmp_path, monkeypatch, SERVICES.format(more=""))
    assert endpoint.configured_problems("production", os.environ) == [], "the variable wins over the file"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    (line,) = endpoint.configured_problems("production", os.environ)
    assert "endpoint_url for ec2 alone (https://ec2.example)" in line
    configuration(tmp_path, monkeypatch, SERVICES.format(more="endpoint_url = https://ec2.example\n"))
    assert endpoint.configured_problems("production", os.environ) == [], "all services are there"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", endpoint.NOT_READ_BY_ALL)
def test_what_not_all_tools_read_is_refused_everywhere(name: str, environment: str) -> None:
    variables = LOOPBACK | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    (line,) = endpoint.endpoint_problems(environment, variables | {name: "http://127.0.0.1:18000"})
    assert line.startswith(f"{name} is set, ")
    assert f"unset it{', and set ' if endpoint.NOT_READ_BY_ALL[name] else ''}" in line
    assert endpoint.endpoint_problems(environment, variables | {name: ""}) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_profile_beside_keys_is_refused(environment: str) -> None:
    (line,) = endpoint.endpoint_problems(environment, LOOPBACK | {"AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "t"})
    assert line.startswith("AWS_PROFILE and AWS_SESSION_TOKEN are both set")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("service", ["STS", "EC2", "S3"])
def test_an_endpoint_of_one_service_is_refused_everywhere(service: str, environment: str) -> None:
    apart = {f"AWS_ENDPOINT_URL_{service}": "http://127.0.0.1:18001"}
    (line,) = endpoint.endpoint_problems(environment, LOOPBACK | apart)
    assert line.startswith(f"AWS_ENDPOINT_URL_{service} is http://127.0.0.1:18001, but AWS_ENDPOINT_URL is {URL}: ")
    if environment != "local":
        (line,) = endpoint.endpoint_problems(environment, apart)
        assert "but AWS_ENDPOINT_URL is not set: " in line


def test_production_may_reach_aws() -> None:
    assert endpoint.endpoint_problems("production", {"AWS_PROFILE": "prod"}) == []
    assert endpoint.endpoint_problems("production", {"AWS_ENDPOINT_URL": "https://vpce-1.example"}) == []


def test_every_variable_that_amazon_aws_reads_is_known() -> None:
    """Another release may read more: its argument specification and the `env` of its fragments are looked through."""
    modules = resources.files("ansible_collections.amazon.aws.plugins.module_utils") / "modules.py"
    found = set()
    for names in re.findall(r"env_fallback, \[([^]]*)\]", modules.read_text()):
        found |= set(re.findall(r"[A-Z_]{4,}", names))
    for fragment in ("common", "region"):
        documented = import_module(f"ansible_collections.amazon.aws.plugins.doc_fragments.{fragment}")
        options = yaml.safe_load(documented.ModuleDocFragment.PLUGINS)["options"]
        found |= {variable["name"] for option in options.values() for variable in option.get("env", [])}
    assert {"AWS_ACCESS_KEY", "AWS_URL", "AWS_DEFAULT_PROFILE"} <= found
    assert found <= KNOWN | endpoint.NOT_READ_BY_ALL.keys()
