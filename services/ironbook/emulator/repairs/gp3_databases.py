# SPDX-License-Identifier: GPL-3.0-or-later
"""A database on gp3 storage tells its IOPS and its throughput, and takes others only from 400 GiB on.

AWS: RDS API reference, data type DBInstance (Iops, StorageThroughput); "gp3 storage" in the RDS user guide: PostgreSQL
has 3,000 IOPS and 125 MiB/s below 400 GiB, where neither can be given, and from there on 12,000 to 64,000 IOPS and 500
to 4,000 MiB/s.
moto tells neither unless it was asked for, and refuses nothing.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.rds.exceptions import RDSClientError
from moto.rds.models import DBInstance, RDSBackend

if TYPE_CHECKING:
    from . import Settings

STRIPED_FROM_GIB = 400
# IOPS and MiB/s: below that size, and the least and the most from there on.
SMALL, LEAST, MOST = (3000, 125), (12000, 500), (64000, 4000)


def apply(settings: Settings) -> None:
    """Wrap the making and the changing of an instance, and what it tells."""
    if isinstance(DBInstance.__dict__.get("iops"), property):
        return
    stock_create, stock_modify, stock_throughput = (
        RDSBackend.create_db_instance,
        RDSBackend.modify_db_instance,
        DBInstance.storage_throughput,
    )

    @wraps(stock_create)
    def create_db_instance(self: Any, db_kwargs: dict[str, Any]) -> Any:
        if db_kwargs.get("engine") == "postgres" and db_kwargs.get("storage_type") == "gp3":
            _must_fit(db_kwargs.get("allocated_storage"), db_kwargs)
        return stock_create(self, db_kwargs)

    @wraps(stock_modify)
    def modify_db_instance(self: Any, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> Any:
        there = self.describe_db_instances(db_instance_identifier)[0]
        if there.engine == "postgres" and (db_kwargs.get("storage_type") or there.storage_type) == "gp3":
            _must_fit(db_kwargs.get("allocated_storage") or there.allocated_storage, db_kwargs)
        return stock_modify(self, db_instance_identifier, db_kwargs)

    def storage_throughput(self: Any) -> int | None:
        asked = stock_throughput.fget(self)  # type: ignore[attr-defined]
        return int(asked) if asked else _by_itself(self, 1)

    def iops(self: Any) -> int | None:
        asked = vars(self).get("iops_asked_for")
        return int(asked) if asked else _by_itself(self, 0)

    RDSBackend.create_db_instance = create_db_instance  # type: ignore[method-assign]
    RDSBackend.modify_db_instance = modify_db_instance  # type: ignore[method-assign]
    DBInstance.storage_throughput = property(storage_throughput, stock_throughput.fset)  # type: ignore[attr-defined,assignment]
    DBInstance.iops = property(iops, lambda self, value: vars(self).update(iops_asked_for=value))  # type: ignore[assignment]


def _by_itself(instance: Any, index: int) -> int | None:
    """Return what an instance has without having been asked for it: IOPS (0) or throughput (1)."""
    if instance.engine != "postgres" or vars(instance).get("_storage_type") != "gp3":
        return None
    return (LEAST if int(instance.allocated_storage) >= STRIPED_FROM_GIB else SMALL)[index]


def _must_fit(gib: Any, asked: dict[str, Any]) -> None:
    """Refuse what RDS refuses of gp3 storage of that size."""
    for index, name in enumerate(("iops", "storage_throughput")):
        value = int(asked.get(name) or 0)
        if value and int(gib) < STRIPED_FROM_GIB:
            raise RDSClientError(
                "InvalidParameterCombination",
                "You can't specify IOPS or storage throughput for engine postgres and a storage size less than "
                f"{STRIPED_FROM_GIB}.",
            )
        if value and not LEAST[index] <= value <= MOST[index]:
            message = f"{name} {value} of gp3 storage: {LEAST[index]} to {MOST[index]} is valid."
            raise RDSClientError("InvalidParameterCombination", message)
