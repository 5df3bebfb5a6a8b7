# SPDX-License-Identifier: GPL-3.0-or-later
"""Of two conditional writes that meet, one succeeds. The meeting is arranged, so that nothing depends on luck."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError
from local_processes import environment

# Two threads put the same item if it is not there; each waits in the middle, behind the condition, for the other one.
TWO_WRITES = """
import sys, threading
from moto.dynamodb.models import DynamoDBBackend, table
from moto.dynamodb.exceptions import ConditionalCheckFailed
if sys.argv[1] == "repaired":
    from ironbook.emulator.repairs import conditional_writes
    conditional_writes.apply(None)
    conditional_writes.apply(None)

backend = DynamoDBBackend("us-east-1", "123456789012")
key = {"AttributeName": "id", "KeyType": "HASH"}
backend.create_table("t", schema=[key], throughput=None, attr=[{"AttributeName": "id", "AttributeType": "S"}],
                     global_indexes=[], indexes=[], streams=None, billing_mode="PAY_PER_REQUEST",
                     sse_specification=None, tags=[], deletion_protection_enabled=False, warm_throughput=None)
meeting, stock = threading.Barrier(2), table.get_filter_expression

def slow(*arguments):
    condition = stock(*arguments)
    holds = condition.expr
    def expr(item):
        found = holds(item)
        try:
            meeting.wait(1.0)
        except threading.BrokenBarrierError:
            pass
        return found
    condition.expr = expr
    return condition

table.get_filter_expression = slow
written = []

def write(number):
    try:
        backend.put_item("t", {"id": {"S": "x"}, "by": {"N": str(number)}},
                         condition_expression="attribute_not_exists(id)")
        written.append(number)
    except ConditionalCheckFailed:
        pass

threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(written))
"""


def successes(which: str) -> int:
    """How many of two writes succeed."""
    command = [sys.executable, "-c", TWO_WRITES, which]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


def test_stock_moto_lets_both_succeed() -> None:
    assert successes("stock") == 2


def test_of_two_conditional_writes_one_succeeds() -> None:
    assert successes("repaired") == 1


def test_eight_clients_get_one_success_and_the_item_that_is_there(repaired, conforms) -> None:
    dynamodb = repaired("dynamodb")
    dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def write(number: int) -> dict[str, object]:
        try:
            answer = dynamodb.put_item(
                TableName="t",
                Item={"id": {"S": "x"}, "by": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                ReturnConsumedCapacity="TOTAL",
            )
            conforms(dynamodb, "PutItem", answer)
            return {"id": {"S": "x"}, "by": {"N": str(number)}, "won": True}
        except ClientError as error:
            return error.response["Item"]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(write, range(8)))
    winners = [item for item in found if item.pop("won", False)]
    assert len(winners) == 1 and all(item == winners[0] for item in found)
