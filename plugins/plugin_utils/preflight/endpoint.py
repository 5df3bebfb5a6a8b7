# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether all that we start reads the same credentials and the same AWS endpoint out of the environment.

boto3 asks for the account, and amazon.aws makes what is made.  Each reads environment variables that the other does
not, so that the first could be asked about one account and the second write to another.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.request import proxy_bypass_environment

try:
    import boto3
    import botocore.session
    from botocore.exceptions import BotoCoreError

    HAS_BOTO3 = True
except ImportError:
    HAS_BOTO3 = False

# Name -> what to set instead, if anything.  From the argument specification of amazon.aws 10.1.2
# (module_utils/modules.py), the `env` of its doc fragments, botocore 1.44 (credentials.py, configprovider.py), and
# what their older versions read.  AWS_PROFILE: amazon.aws prefers it, botocore prefers AWS_DEFAULT_PROFILE.
NOT_READ_BY_ALL = {
    "AWS_ACCESS_KEY": "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_KEY": "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN": "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_PROFILE": "AWS_PROFILE",
    "AWS_URL": "AWS_ENDPOINT_URL",
    "EC2_ACCESS_KEY": "AWS_ACCESS_KEY_ID",
    "EC2_SECRET_KEY": "AWS_SECRET_ACCESS_KEY",
    "EC2_SECURITY_TOKEN": "AWS_SESSION_TOKEN",
    "EC2_REGION": "AWS_REGION",
    "EC2_URL": "AWS_ENDPOINT_URL",
    "S3_URL": "AWS_ENDPOINT_URL",
    "_ANSIBLE_PLACEBO_RECORD": "",
    "_ANSIBLE_PLACEBO_REPLAY": "",
}
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_GLOBAL = "AWS_ENDPOINT_URL"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EMULATOR = "a local inventory talks to the emulator only: start it with `ironbook local up`"
_ENVIRONMENT = "take the environment that `ironbook local env` prints"
# Nothing beside scheme, host and port: what reads a URL with more in it does not always find the same host.
_URL = re.compile(
    r"(?i:https?)://(?:(?P<name>[A-Za-z0-9._-]+)|\[(?P<six>[0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?/?", re.ASCII
)


def endpoint_problems(environment: str, variables: Mapping[str, str]) -> list[str]:
    """Why an inventory of `environment` must not be used with `variables` (the process's), a line for each reason.

    Under `local` everything that is reached has to be on this machine.  botocore reads AWS_ENDPOINT_URL, lets
    AWS_ENDPOINT_URL_<SERVICE> override it, and ignores both where it is told to; proxies come between.
    """
    found = _not_read_by_all(variables)
    urls = {name: url for name, url in sorted(variables.items()) if name.startswith(_GLOBAL) and url}
    malformed = [name for name, url in urls.items() if not _URL.fullmatch(url)]
    found += [
        f"{name} has to be http://HOST:PORT or https://HOST:PORT and nothing more: correct it" for name in malformed
    ]
    if malformed:
        return found
    if environment == "local":
        found += _not_local(urls, variables)
    common = urls.get(_GLOBAL)
    found += [
        f"{name} is {url}, but {_GLOBAL} is {common or 'not set'}: the account would be asked for at one "
        f"and written to at the other: unset {name}"
        for name, url in urls.items()
        if url != common and (environment != "local" or is_loopback(url))
    ]
    return found


def configured_problems(environment: str, variables: Mapping[str, str]) -> list[str]:
    """Why what boto3 makes of `variables` and of the AWS configuration file must not be used: one line, or none.

    It is asked for once `endpoint_problems` knows of nothing.  Nothing is sent anywhere.
    """
    if not HAS_BOTO3:
        return []  # account_problems says so
    try:
        return _used_elsewhere(variables[_GLOBAL]) if environment == "local" else _configured_apart(variables)
    except (BotoCoreError, ValueError) as error:
        return [f"boto3 cannot be used: {' '.join(str(error).split()).rstrip('.')}: correct the environment"]


def is_loopback(url: str) -> bool:
    """Whether `url` is a scheme, a host and perhaps a port, and the host, by name or by address, is this machine."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return False
    host = parts["name"] or parts["six"]
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _not_read_by_all(variables: Mapping[str, str]) -> list[str]:
    found = []
    for name, instead in NOT_READ_BY_ALL.items():
        if variables.get(name):
            remedy = f"unset it{f', and set {instead} if it is meant' if instead else ''}"
            found.append(f"{name} is set, which not all of our tools read: some would use another account: {remedy}")
    keys = [name for name in _KEYS if variables.get(name)]
    if variables.get("AWS_PROFILE") and keys:
        found.append(f"AWS_PROFILE and {keys[0]} are both set, and not all of our tools prefer the same: unset one")
    return found


def _not_local(urls: Mapping[str, str], variables: Mapping[str, str]) -> list[str]:
    """What, of well-formed `urls` and of the other variables, leads away from this machine."""
    if _GLOBAL not in urls:
        return [f"{_GLOBAL} is not set, so this would reach AWS itself; {_EMULATOR}"]
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() not in {"", "false"}:
        return [f"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set, so this would reach AWS itself; {_EMULATOR}"]
    elsewhere = [
        f"{name} is {url}, which is not on this machine; {_EMULATOR}"
        for name, url in urls.items()
        if not is_loopback(url)
    ]
    return elsewhere or _proxied(urls[_GLOBAL], variables)


def _proxied(url: str, variables: Mapping[str, str]) -> list[str]:
    """One line if a request to `url` would go through a proxy.  As urllib has it, a name in small letters wins."""
    proxies = [name for small in _PROXIES for name in (small, small.upper()) if variables.get(name)]
    host = url.split("://", 1)[1].rstrip("/")
    exempt = variables.get("no_proxy", variables.get("NO_PROXY", ""))
    if not proxies or proxy_bypass_environment(host, {"no": exempt}):
        return []
    return [
        f"{proxies[0]} is set, and NO_PROXY does not exempt {host}: signed requests would leave this machine; "
        f"{_ENVIRONMENT}"
    ]


def _used_elsewhere(wanted: str) -> list[str]:
    for service in ("sts", "ec2"):
        used = boto3.Session().client(service).meta.endpoint_url
        if used.rstrip("/").lower() != wanted.rstrip("/").lower():
            return [
                f"boto3 would ask {used} and not {wanted}: the AWS configuration file makes it ignore {_GLOBAL}; "
                f"{_ENVIRONMENT}"
            ]
    return []


def _configured_apart(variables: Mapping[str, str]) -> list[str]:
    """One line if the configuration file gives one service another endpoint than the rest."""
    if variables.get(_GLOBAL):  # wins over the file
        return []
    session = botocore.session.Session()
    profile = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    for service, settings in services.items():
        url = settings.get("endpoint_url") if isinstance(settings, dict) else None
        if url and url != profile.get("endpoint_url"):
            return [
                f"the AWS configuration file has an endpoint_url for {service} alone ({url}): the account would be "
                "asked for elsewhere than it is written to: take it out, or use another profile"
            ]
    return []
