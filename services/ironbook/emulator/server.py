# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook emulator run`: one process that serves moto, repaired, on 127.0.0.1.

The services of AWS are loaded when they are first asked for.  GET /ironbook/health answers at once, with the process id
and the port of PostgreSQL, so that `ironbook local up` knows whose emulator answers.  Nothing is kept over a restart
but DynamoDB's tables, where a file is given for them.

It never listens anywhere but on the loopback, and serves its own user (and root) alone: whoever it serves is the
administrator of the emulated account, and through it of the PostgreSQL behind it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ironbook.emulator import requests
from ironbook.emulator.repairs import REPAIRS, Settings, apply
from ironbook.loopback import HOST, peer_uid

HEALTH_PATH = "/ironbook/health"
_SIGNED_FOR_EC2 = "AWS4-HMAC-SHA256 Credential=none/20260101/us-east-1/ec2/aws4_request, SignedHeaders=, Signature="

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def add_parser(subparsers: Any) -> None:
    """Add `ironbook emulator` to the command line."""
    parser = subparsers.add_parser("emulator", help="the embedded AWS of the local site")
    actions = parser.add_subparsers(dest="action", required=True)
    run_parser = actions.add_parser("run", help="serve it in the foreground on 127.0.0.1")
    run_parser.add_argument("--port", type=int, required=True, help="port to listen on")
    run_parser.add_argument("--postgres-port", type=int, required=True, help="where the real PostgreSQL listens")
    run_parser.add_argument("--postgres-user", default="rdsadmin", help="its superuser (default: %(default)s)")
    run_parser.add_argument("--postgres-password-file", type=Path, required=True, help="file with its password")
    run_parser.add_argument("--tables-file", type=Path, help="file that keeps DynamoDB's tables over a restart")
    run_parser.add_argument(
        "--requests-file", type=Path, help="file that is told every request, for as long as it is there"
    )
    run_parser.set_defaults(function=run)


def application(settings: Settings) -> WsgiApplication:
    """Return moto's WSGI application with our repairs and the health page.

    EC2 takes over a second to load and is what every site asks for first, so it is loaded while Ansible still starts.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415

    def create_repaired_app(service: Any) -> Any:
        app = create_backend_app(service)
        apply(service, settings)
        return app

    moto = DomainDispatcherApplication(create_repaired_app)
    health = json.dumps({"status": "serving", "pid": os.getpid(), "postgres_port": settings.postgres_port}).encode()

    def load_ec2() -> None:
        moto.get_application({"PATH_INFO": "/", "HTTP_AUTHORIZATION": _SIGNED_FOR_EC2})

    threading.Thread(target=load_ec2, daemon=True).start()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == HEALTH_PATH:
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(health)))])
            return [health]
        served: Iterable[bytes] = moto(environ, start_response)
        return served

    return answer


def for_own_user(served: WsgiApplication, port: int) -> WsgiApplication:
    """Refuse what comes from another user of this machine: signatures of an emulated account prove nothing.

    Asked at every request, which is once a connection: werkzeug closes each after its first answer.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if peer_uid(port, int(environ["REMOTE_PORT"])) in (0, os.getuid()):
            return served(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"this emulator serves its own user alone\n"]

    return answer


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    os.environ.update(MOTO_PORT=str(arguments.port), AWS_EC2_METADATA_DISABLED="true")
    from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    # At once, and not through the interpreter's own end, which takes all of moto apart, behind a thread that may still
    # be loading it: a second of a processor, that on a busy machine is long in coming. Nothing waits for that end: what
    # is kept was written before it was answered.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    settings = Settings(
        arguments.postgres_port, arguments.postgres_password_file, arguments.postgres_user, arguments.tables_file
    )
    if arguments.requests_file:
        requests.keep(arguments.requests_file)
    served = for_own_user(application(settings), arguments.port)
    server = make_server(HOST, arguments.port, served, threaded=True, request_handler=MotoRequestHandler)
    repaired = ", ".join(sorted(name for names in REPAIRS.values() for name in names))
    print(f"emulator: http://{HOST}:{arguments.port}, repaired: {repaired}", flush=True)
    server.serve_forever()
    return 0
