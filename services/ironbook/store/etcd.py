# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration store in etcd: one key an item, its value a JSON document.

A write is one transaction: if the key's mod_revision is the one that was read (or it has none yet), put; else read what
is there. A read is a linearizable range, so a member that lost its majority answers nothing rather than something old.
An item that came from elsewhere carries no mod_revision: then the key is read first, and the transaction still decides.

etcd's own leases are not used: lease.py says why. Its watch is used for nothing but to look again sooner.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from ironbook.store.client import POLL_SECONDS, AnswerLostError, Done, Patience, Refused, Store, Stored
from ironbook.store.errors import (
    StoreContradictionError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreUnreachableError,
    WrongShardError,
)
from ironbook.store.etcd_gateway import Gateway, GatewayError, NotSentError
from ironbook.store.items import Item, from_json, to_json

PREFIX = "/ironbook/"
# Codes of gRPC (grpc/status.h) in the gateway's answers.
_DEADLINE, _DENIED, _EXHAUSTED, _PRECONDITION, _UNAVAILABLE, _UNAUTHENTICATED = 4, 7, 8, 9, 14, 16
_INVALID = 3
# Between two looks where the watch works: it tells sooner, and may be connected to a member that hears nothing.
_LOOK_SECONDS = 2.0


class EtcdStore(Store):
    """A store in an etcd cluster; keys begin with `prefix`."""

    def __init__(
        self,
        gateway: Gateway,
        prefix: str = PREFIX,
        patience: Patience | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Nothing is asked of etcd yet."""
        super().__init__(patience, poll_seconds)
        self.name = f"etcd at {', '.join(gateway.endpoints)}"
        self._gateway = gateway
        self._prefix = prefix
        self._cluster = ""

    def _get(self, key: str, seconds: float) -> Stored | None:
        answer = self._call("range", "read", key, {"key": self._key(key)}, seconds, writes=False)
        return self._stored(key, answer)

    def _put(self, key: str, item: Item, known: Item | None, seconds: float) -> Done | Refused:
        revision = 0
        if known is not None:
            revision = known.revision
            if not revision:
                there = self._get(key, seconds)
                if there is None or (there.document.get("version"), there.document.get("writer")) != (
                    known.version,
                    known.writer,
                ):
                    return Refused(there)
                revision = there.revision
        name = self._key(key)
        answer = self._call(
            "txn",
            "write",
            key,
            {
                "compare": [{"key": name, "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}],
                "success": [{"request_put": {"key": name, "value": _encoded(to_json(item.document()))}}],
                "failure": [{"request_range": {"key": name}}],
            },
            seconds,
            writes=True,
        )
        responses = answer.get("responses")
        kind = "response_put" if answer.get("succeeded") is True else "response_range"
        if not isinstance(responses, list) or len(responses) != 1 or kind not in responses[0]:
            raise AnswerLostError(f"{self.name} answered a transaction on {key} with {responses!r:.80}")
        if kind == "response_put":
            return Done(_number(answer["header"].get("revision")))
        return Refused(self._stored(key, responses[0][kind] or {}))

    def _wait(self, key: str, known: Item | None, seconds: float) -> None:
        """Watch the key from behind the known revision; returns at a change, an error or the end of the time."""
        if known is None or not known.revision:
            super()._wait(key, known, seconds)
            return
        if not self._gateway.watch(self._key(key), known.revision + 1, min(seconds, _LOOK_SECONDS)):
            super()._wait(key, known, min(seconds, self.poll_seconds))

    def _key(self, key: str) -> str:
        return _encoded(self._prefix + key)

    def _stored(self, key: str, answer: Mapping[str, Any]) -> Stored | None:
        kvs = answer.get("kvs", [])
        if not isinstance(kvs, list) or len(kvs) > 1:
            raise StoreContradictionError(f"{self.name} answered with {len(kvs)} values for the one key {key}")
        if not kvs:
            return None
        where = f"the value of {self._prefix}{key} in {self.name}"
        try:
            name = base64.b64decode(kvs[0]["key"], validate=True).decode("utf-8", "replace")
            value = base64.b64decode(kvs[0].get("value", ""), validate=True)
            revision = _number(kvs[0]["mod_revision"])
        except (KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise StoreContradictionError(f"{where} is no value of etcd's: {kvs[0]!r:.80}") from error
        if name != self._prefix + key:
            raise WrongShardError(f"{self.name} answered with {name[:80]}, and was asked for {self._prefix}{key}")
        return Stored(from_json(where, value), revision)

    def _call(  # noqa: PLR0913  (one request has so many parts)
        self, call: str, action: str, key: str, body: Mapping[str, Any], seconds: float, *, writes: bool
    ) -> dict[str, Any]:
        """Make one request of one member and check that the answer is this cluster's."""
        try:
            answer = self._gateway.call(f"/v3/kv/{call}", body, seconds)
        except NotSentError as error:
            raise StoreUnreachableError(f"{self.name} cannot be reached: {error}") from error
        except GatewayError as error:
            raise self._meaning(action, key, error, writes) from error
        header = answer.get("header")
        cluster = header.get("cluster_id") if isinstance(header, dict) else None
        if not isinstance(cluster, str):
            raise self._lost(action, key, f"what answered is not etcd: {answer!r:.60}", writes)
        if self._cluster and cluster != self._cluster:
            raise StoreContradictionError(
                f"{self.name} is another cluster ({cluster}) than before ({self._cluster}): correct the endpoints"
            )
        self._cluster = cluster
        return answer

    def _meaning(self, action: str, key: str, error: GatewayError, writes: bool) -> Exception:
        """Say what an error that a member reports, or the loss of its answer, means for the key."""
        line = f"etcd, to {action} {self._prefix}{key}: {error}"
        refused = error.code in {_DENIED, _UNAUTHENTICATED} or (
            error.code == _INVALID and ("user" in str(error) or "auth" in str(error))
        )
        if "CommonName of client" in str(error):  # etcd with users and --client-cert-auth, before it does anything
            return StoreDeniedError(f"{line}; its gateway takes only client certificates without a common name")
        if refused:
            return StoreDeniedError(f"{line}; grant the user of this store to {action} {self._prefix}*")
        if error.code == _EXHAUSTED and "space" in str(error):
            return StoreError(f"{line}; compact and defragment it, then disarm its alarm (etcdctl alarm disarm)")
        if error.code == _EXHAUSTED:
            return StoreThrottledError(line)
        if error.code in {None, _DEADLINE, _UNAVAILABLE} or error.status >= 500:
            return self._lost(action, key, str(error), writes)
        return StoreError(line)

    def _lost(self, action: str, key: str, reason: str, writes: bool) -> Exception:
        line = f"etcd had no answer to go by, to {action} {self._prefix}{key}: {reason}"
        return AnswerLostError(line) if writes else StoreUnreachableError(line)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _number(value: Any) -> int:
    """Read a whole number of the gateway: 64 bits come as text (Protocol Buffers, JSON Mapping)."""
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal():
        raise StoreContradictionError(f"etcd answered with {value!r:.40} where a revision is wanted")
    return int(value)
