# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a configuration store as a configuration file describes it.

    {"kind": "dynamodb", "table": "ironbook-configuration"}
    {"kind": "etcd", "endpoints": ["https://10.0.1.5:2379", …], "ca_file": …, "cert_file": …, "key_file": …,
     "user": …, "password_file": …, "prefix": "/ironbook/"}

and in both, where the defaults do not do: `request_seconds`, `total_seconds`, `poll_seconds`. Endpoint, region and
credentials of DynamoDB come from the environment and can stand in no file.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ironbook.errors import CommandError
from ironbook.service import check_keys
from ironbook.store.client import POLL_SECONDS, Patience, Store

_TIMES: dict[str, type] = {"request_seconds": float, "total_seconds": float, "poll_seconds": float}
_KEYS: dict[str, dict[str, type]] = {
    "dynamodb": {"kind": str, "table": str, **_TIMES},
    "etcd": {
        "kind": str,
        "endpoints": list,
        "ca_file": str,
        "cert_file": str,
        "key_file": str,
        "user": str,
        "password_file": str,
        "prefix": str,
        **_TIMES,
    },
}
_REQUIRED = {"kind", "table", "endpoints"}
_SECONDS_MAX = 60.0


def open_store(value: Any, where: str) -> Store:
    """Return the store that `value`, the object at `where` of a file, describes. Raises CommandError."""
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in _KEYS:
        raise CommandError(f"{where}: 'kind' is {kind!r}: give it one of {', '.join(_KEYS)}")
    keys = _KEYS[kind]
    given = check_keys(value, keys, where, frozenset(keys) - _REQUIRED)
    patience = Patience(_seconds(given, "request_seconds", 1.0, where), _seconds(given, "total_seconds", 3.0, where))
    poll = _seconds(given, "poll_seconds", POLL_SECONDS, where)
    if kind == "dynamodb":
        from ironbook.store.dynamodb import DynamoDbStore  # noqa: PLC0415  (brings boto3)

        return DynamoDbStore(given["table"], patience, poll)
    from ironbook.store.etcd import PREFIX, EtcdStore  # noqa: PLC0415
    from ironbook.store.etcd_gateway import Gateway, Login  # noqa: PLC0415

    endpoints = _endpoints(given, where)
    login = None
    if "user" in given or "password_file" in given:
        if not {"user", "password_file"} <= given.keys():
            raise CommandError(f"{where}: 'user' and 'password_file' go together: give both or neither")
        if any(not _is_private_way(endpoint) for endpoint in endpoints):
            raise CommandError(f"{where}: a password does not go over http: give https endpoints")
        login = Login(given["user"], Path(given["password_file"]))
    return EtcdStore(Gateway(endpoints, _tls(given, where), login), given.get("prefix", PREFIX), patience, poll)


def _seconds(given: Mapping[str, Any], name: str, default: float, where: str) -> float:
    value = float(given.get(name, default))
    if not 0 < value <= _SECONDS_MAX:
        raise CommandError(f"{where}: {name!r} is {value:g}: give it seconds above 0, {_SECONDS_MAX:g} at the most")
    return value


def _endpoints(given: Mapping[str, Any], where: str) -> list[str]:
    endpoints: list[str] = given["endpoints"]
    for endpoint in endpoints:
        try:
            address = urlsplit(endpoint)
            right = address.scheme in {"http", "https"} and address.hostname and address.path in {"", "/"}
            right = right and address.port != 0 and not address.username and not address.query
        except (ValueError, AttributeError, TypeError):
            right = False
        if not right:
            raise CommandError(f"{where}: the endpoint {endpoint!r} is no client URL such as https://10.0.1.5:2379")
    if not endpoints or len(set(endpoints)) != len(endpoints):
        raise CommandError(f"{where}: 'endpoints' must name each member of etcd once, and one at least")
    return endpoints


def _is_private_way(endpoint: str) -> bool:
    """Whether nobody can read along: TLS, or this very machine."""
    address = urlsplit(endpoint)
    try:
        loopback = ipaddress.ip_address(address.hostname or "").is_loopback
    except ValueError:
        loopback = address.hostname == "localhost"
    return address.scheme == "https" or loopback


def _tls(given: Mapping[str, Any], where: str) -> ssl.SSLContext | None:
    files = {name: given[name] for name in ("ca_file", "cert_file", "key_file") if name in given}
    if not files:
        return None
    if len({"cert_file", "key_file"} & files.keys()) == 1:
        raise CommandError(f"{where}: 'cert_file' and 'key_file' go together: give both or neither")
    try:
        context = ssl.create_default_context(cafile=files.get("ca_file"))
        if "cert_file" in files:
            context.load_cert_chain(files["cert_file"], files["key_file"])
    except OSError as error:  # ssl.SSLError too
        raise CommandError(
            f"{where}: the TLS files {', '.join(files.values())} cannot be used: {error.strerror or error}"
        ) from error
    return context
