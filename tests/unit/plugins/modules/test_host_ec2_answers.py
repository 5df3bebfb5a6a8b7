# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU options, ENA Express and queue counts, which the emulator forgets: judged of an answer in AWS's documented form.

The answer is XML, as it comes over the wire; boto3's own client reads it by AWS's model of the API. It was written
after the API reference (fixtures/ec2_answers), and AWS itself was not asked.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import ec2_reader
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.service import run
from ansible_collections.ironbook.trading.plugins.modules import host_ec2_info
from botocore.awsrequest import AWSResponse
from fixtures import host_trees
from fixtures.host_types import TYPES
from local_processes import ROOT

ANSWER = (ROOT / "tests/fixtures/ec2_answers/describe_instances.xml").read_text()
NAME, KIND = "i-1234567890abcdef0", TYPES["c6in.32xlarge"]
JUDGED = ("ec2.threads", "ec2.ena_express", "ec2.queue_count")


class Body:
    """What is read of an answer."""

    def __init__(self, text: str) -> None:
        self.text = text

    def stream(self) -> list[bytes]:
        return [self.text.encode()]


def said(answer: str) -> tuple[dict[str, Any], list[dict[str, list[str]]]]:
    """What is read of the instance, and what was asked; all but DescribeInstances is answered with nothing."""
    asked: list[dict[str, list[str]]] = []

    def send(request: Any, **_more: Any) -> AWSResponse:
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        asked.append(parse_qs(body))
        action = asked[-1]["Action"][0]
        text = (
            answer
            if action == "DescribeInstances"
            else f"<{action}Response><requestId>x</requestId></{action}Response>"
        )
        return AWSResponse(request.url, 200, {"Content-Type": "text/xml;charset=UTF-8"}, Body(text))

    ec2 = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    ec2.meta.events.register("before-send.ec2", send)
    return ec2_reader.read(ec2, [NAME], host_ec2_info.reason)[NAME], asked


def judged(tmp_path: Path, answer: str) -> dict[str, dict[str, Any]]:
    """The three tunables, of a tuned host of that type with this answer."""
    host_trees.write(host_trees.tuned(KIND), tmp_path)
    found = run(str(tmp_path), KIND.isolated, host_trees.PAGES, None, gigantic_pages=2, ec2=said(answer)[0])
    return {row["id"]: row for row in found["findings"] if row["id"] in JUDGED}


def changed(before: str, after: str) -> str:
    """The answer with one thing otherwise."""
    assert ANSWER.count(before) == 1, before
    return ANSWER.replace(before, after)


def without(tag: str) -> str:
    """The answer of an instance of which the API does not say this."""
    text, count = re.subn(rf"<{tag}>.*?</{tag}>", "", ANSWER, flags=re.DOTALL)
    assert count == 1
    return text


def test_the_answer_is_read_by_awss_own_model() -> None:
    """The names are those that boto3 gives them; of one interface the API says what was set, of the other nothing."""
    instance, asked = said(ANSWER)
    read = instance["instance"]
    assert read["CpuOptions"] == {"CoreCount": 64, "ThreadsPerCore": 1}
    first, second = (each["Attachment"] for each in read["NetworkInterfaces"])
    assert first["EnaSrdSpecification"] == {
        "EnaSrdEnabled": False,
        "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": False},
    }
    assert (first["EnaQueueCount"], "EnaQueueCount" in second, "EnaSrdSpecification" in second) == (2, False, False)
    (question,) = [each for each in asked if each["Action"] == ["DescribeInstances"]]
    assert (question["Filter.1.Name"], question["Filter.1.Value.1"]) == (["instance-id"], [NAME])


def test_an_instance_as_it_should_be_is_right(tmp_path: Path) -> None:
    found = judged(tmp_path, ANSWER)
    assert {name: row["verdict"] for name, row in found.items()} == dict.fromkeys(JUDGED, "ok")
    assert found["ec2.queue_count"]["planes"]["live"] and found["ec2.threads"]["planes"]["live"] == "1"


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ("<threadsPerCore>1<", "<threadsPerCore>2<", "ec2.threads"),
        ("<enaSrdEnabled>false<", "<enaSrdEnabled>true<", "ec2.ena_express"),
        ("<enaQueueCount>2<", "<enaQueueCount>32<", "ec2.queue_count"),
    ],
)
def test_one_that_is_wrong_is_named_and_no_other(tmp_path: Path, before: str, after: str, wrong: str) -> None:
    found = judged(tmp_path, changed(before, after))
    assert {name: row["verdict"] for name, row in found.items()} == {**dict.fromkeys(JUDGED, "ok"), wrong: "drift"}


def test_what_the_api_does_not_say_is_unknown_or_the_types_own(tmp_path: Path) -> None:
    """No CPU options is no answer; no word of ENA Express or of queues is how the API says that nobody has set them."""
    assert judged(tmp_path, without("cpuOptions"))["ec2.threads"]["verdict"] == "unknown"
    assert judged(tmp_path, without("enaSrdSpecification"))["ec2.ena_express"]["verdict"] == "ok"
    assert judged(tmp_path, without("enaQueueCount"))["ec2.queue_count"]["verdict"] == "ok"
