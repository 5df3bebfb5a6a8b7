# SPDX-License-Identifier: GPL-3.0-or-later
"""Which account would be written to, and whether it is the one that the inventory names.

This is the one place that asks where it is talking to.  Everything after it is the same on AWS and on the emulator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight.endpoint import is_loopback

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
    )
    from botocore.exceptions import ConnectionError as NoConnectionError

    HAS_BOTO3 = True
except ImportError:
    HAS_BOTO3 = False

# One attempt and short waits (seconds): who is refused wants to know it now.
_CONNECT_SECONDS = 3
_READ_SECONDS = 10


def region_problems(variables: Mapping[str, str], wanted: str | None = None) -> list[str]:
    """What is wrong with the two names of the region in `variables` (the process's): boto3 reads only the second.

    With `wanted` None any region will do, as long as it is one.
    """
    unset = [name for name in ("AWS_REGION", "AWS_DEFAULT_REGION") if not variables.get(name)]
    if unset:
        return [f"{' and '.join(unset)} not set: export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1, or yours"]
    if variables["AWS_REGION"] != variables["AWS_DEFAULT_REGION"]:
        regions = f"AWS_REGION={variables['AWS_REGION']} and AWS_DEFAULT_REGION={variables['AWS_DEFAULT_REGION']}"
        return [f"{regions}: not all of our tools read the same one: set both to one region"]
    if wanted and variables["AWS_REGION"] != wanted:
        return [
            f"AWS_REGION is {variables['AWS_REGION']}, the inventory is for {wanted} (aws_region): "
            f"export AWS_REGION={wanted} AWS_DEFAULT_REGION={wanted}, or use the inventory of that region"
        ]
    return []


def zone_problems(region: str, zones: Iterable[str]) -> list[str]:
    """One line for each availability zone that is not in the region: a zone is the region's name and a letter."""
    return [
        f"ironbook_zones has {zone}, which is not in {region} (aws_region)" for zone in zones if zone[:-1] != region
    ]


def account_problems(wanted: str | None, endpoint: str | None) -> list[str]:
    """Why the credentials of this process must not be used: AWS refuses them, or they are not of account `wanted`.

    With `wanted` None any account will do.  `endpoint` is only named in the messages.
    """
    if not HAS_BOTO3:
        return [
            "boto3 is not installed, so the account cannot be checked: run `make venv` and use its ansible-playbook"
        ]
    where = endpoint or "AWS"
    settings = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1})
    try:
        found = boto3.client("sts", config=settings).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        answer = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
        said = f"{answer['Code']}: {answer.get('Message', '')}" if "Code" in answer else str(error)
        said = " ".join(said.split()).rstrip(".")
        return [f"{where} does not say whose account this is: {said}; {_remedy(error, answer, endpoint)}"]
    if wanted is not None and found != wanted:
        return [
            f"the credentials are of account {found}, the inventory is for {wanted} (aws_account_id): "
            "use that account's credentials, or the inventory of this account"
        ]
    return []


def _remedy(error: Exception, answer: Mapping[str, str], endpoint: str | None) -> str:
    """What to do about an error of boto3; `answer` is what AWS said, if it did."""
    if isinstance(error, (NoConnectionError, HTTPClientError)):  # no answer at all
        if endpoint and is_loopback(endpoint):
            return "start the emulator with `ironbook local up`"
        return f"check the network{' and AWS_ENDPOINT_URL' if endpoint else ''}"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return "export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, NoRegionError):
        return "export AWS_REGION and AWS_DEFAULT_REGION"
    if "Expired" in answer.get("Code", ""):
        return "log in again, or export new credentials: these have expired"
    return "check AWS_PROFILE, or the keys in the environment"
