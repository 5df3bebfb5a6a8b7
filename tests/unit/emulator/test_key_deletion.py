# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a key is set and taken back by its ARN; stock moto answers 500."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


def test_stock_moto_knows_the_id_alone(stock) -> None:
    kms = stock("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    with pytest.raises(ClientError, match="500"):
        kms.cancel_key_deletion(KeyId=key["Arn"])


def test_an_end_is_set_and_taken_back_by_the_arn(repaired, conforms) -> None:
    kms = repaired("kms")
    key = kms.create_key()["KeyMetadata"]
    conforms(kms, "ScheduleKeyDeletion", kms.schedule_key_deletion(KeyId=key["Arn"], PendingWindowInDays=30))
    told = kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]
    assert (told["KeyState"], told["Enabled"]) == ("PendingDeletion", False)
    conforms(kms, "CancelKeyDeletion", kms.cancel_key_deletion(KeyId=key["Arn"]))
    told = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (told["KeyState"], told.get("DeletionDate")) == ("Disabled", None)
    kms.enable_key(KeyId=key["Arn"])
    assert kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]["KeyState"] == "Enabled"
