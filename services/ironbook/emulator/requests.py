# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests that the emulator got, with their parameters, for tests of what the emulator forgets or never shows.

Kept for as long as the file is there: make it empty to begin, remove it to end. One request a line, as JSON:
`service` and `action` as botocore names them, `parameters` in botocore's own form, in the order of arrival. A request
that AWS's service model cannot read is kept with an empty action.

Secrets are left out: what the service model calls sensitive, and what is named as a password, a secret or a token.
Bytes are told by their number.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

LEFT_OUT = "left out"
_NAMED_AS_SECRET = re.compile(r"(password|secret|token|privatekey|presharedkey)$", re.IGNORECASE)


def keep(file: Path) -> None:
    """Have moto tell this file each request that it is about to answer."""
    from moto.core.responses import BaseResponse  # noqa: PLC0415

    stock, writing = BaseResponse.setup_class, threading.Lock()

    @wraps(stock)
    def setup_class(self: Any, request: Any, *arguments: Any, **more: Any) -> None:
        stock(self, request, *arguments, **more)
        if file.exists():
            line = json.dumps(_told(self.boto3_service_name, request), default=_in_words)
            with writing, file.open("a") as kept:
                kept.write(f"{line}\n")

    BaseResponse.setup_class = setup_class  # type: ignore[method-assign]


def _told(service: str, request: Any) -> dict[str, Any]:
    """Read a request as AWS's service model has it."""
    from moto.core.parse import PROTOCOL_PARSERS  # noqa: PLC0415
    from moto.core.request import determine_request_protocol  # noqa: PLC0415
    from moto.core.routing import get_service_router  # noqa: PLC0415
    from moto.core.utils import get_service_model  # noqa: PLC0415
    from werkzeug.exceptions import NotFound  # noqa: PLC0415

    try:
        operation, in_path = get_service_router(service).match(request)
    except (NotFound, NotImplementedError):
        return {"service": service, "action": "", "parameters": {}}
    parser = PROTOCOL_PARSERS[determine_request_protocol(get_service_model(service), request.content_type)]
    parameters = parser(operation).parse({
        "method": request.method, "values": request.values, "headers": request.headers, "body": request.data,
        "url_path": request.path, "url_params": in_path,
    })  # fmt: skip
    shown = without_secrets(operation.input_shape, parameters) if parameters else {}
    return {"service": service, "action": operation.name, "parameters": shown}


def without_secrets(shape: Any, value: Any, name: str = "") -> Any:
    """Leave out what nobody else may read."""
    if getattr(shape, "metadata", {}).get("sensitive") or _NAMED_AS_SECRET.search(name):
        return LEFT_OUT
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return {key: without_secrets(shape.members[key], one, key) for key, one in value.items()}
    if shape.type_name == "map" and isinstance(value, Mapping):
        return {key: without_secrets(shape.value, one, key) for key, one in value.items()}
    if shape.type_name == "list" and isinstance(value, Iterable):
        return [without_secrets(shape.member, one) for one in value]
    return value


def _in_words(value: Any) -> str:
    """Tell what JSON has no form for."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
