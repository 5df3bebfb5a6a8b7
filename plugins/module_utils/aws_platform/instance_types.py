# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instance types there are, and which of them have 100 Gb/s of network or more. Pure but for botocore's model.

Known is what botocore's model of EC2 lists, so that a misspelt type is refused before AWS is asked anything.
"""

from __future__ import annotations

from collections.abc import Iterator

# Family -> sizes with 100 Gb/s or more that are always there, none of "up to": NetworkInfo.NetworkPerformance of
# DescribeInstanceTypes, as moto has recorded it (a test compares). Without those for graphics and machine learning.
HUNDRED_GIGABIT: dict[str, tuple[str, ...]] = {
    "c5n": ("18xlarge", "metal"),
    "c6gn": ("16xlarge",),
    "c6in": ("16xlarge", "24xlarge", "32xlarge", "metal"),
    "c7gn": ("8xlarge", "12xlarge", "16xlarge", "metal"),
    "c8gb": ("12xlarge", "16xlarge", "24xlarge", "48xlarge", "metal-24xl", "metal-48xl"),
    "c8gn": ("8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge", "metal-24xl", "metal-48xl"),
    "c8i": ("96xlarge", "metal-96xl"),
    "c8ib": ("24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "c8id": ("96xlarge", "metal-96xl"),
    "c8in": ("16xlarge", "24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "c9g": ("48xlarge", "metal-48xl"),
    "c9gd": ("48xlarge", "metal-48xl"),
    "hpc6a": ("48xlarge",),
    "hpc6id": ("32xlarge",),
    "hpc7a": ("12xlarge", "24xlarge", "48xlarge", "96xlarge"),
    "hpc7g": ("4xlarge", "8xlarge", "16xlarge"),
    "hpc8a": ("96xlarge",),
    "i3en": ("24xlarge", "metal"),
    "i7ie": ("48xlarge", "metal-48xl"),
    "i8ge": ("18xlarge", "24xlarge", "48xlarge", "metal-24xl", "metal-48xl"),
    "im4gn": ("16xlarge",),
    "m5dn": ("24xlarge", "metal"),
    "m5n": ("24xlarge", "metal"),
    "m5zn": ("12xlarge", "metal"),
    "m6idn": ("16xlarge", "24xlarge", "32xlarge", "metal"),
    "m6in": ("16xlarge", "24xlarge", "32xlarge", "metal"),
    "m8azn": ("12xlarge", "24xlarge", "metal-12xl", "metal-24xl"),
    "m8gb": ("12xlarge", "16xlarge", "24xlarge", "48xlarge", "metal-24xl", "metal-48xl"),
    "m8gn": ("8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge", "metal-24xl", "metal-48xl"),
    "m8i": ("96xlarge", "metal-96xl"),
    "m8ib": ("24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "m8id": ("96xlarge", "metal-96xl"),
    "m8idb": ("24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "m8idn": ("16xlarge", "24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "m8in": ("16xlarge", "24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "m9g": ("48xlarge", "metal-48xl"),
    "m9gd": ("48xlarge", "metal-48xl"),
    "r5dn": ("24xlarge", "metal"),
    "r5n": ("24xlarge", "metal"),
    "r6idn": ("16xlarge", "24xlarge", "32xlarge", "metal"),
    "r6in": ("16xlarge", "24xlarge", "32xlarge", "metal"),
    "r8gb": ("12xlarge", "16xlarge", "24xlarge", "48xlarge", "metal-24xl", "metal-48xl"),
    "r8gn": ("8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge", "metal-24xl", "metal-48xl"),
    "r8i": ("96xlarge", "metal-96xl"),
    "r8ib": ("24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "r8id": ("96xlarge", "metal-96xl"),
    "r8idb": ("24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "r8idn": ("16xlarge", "24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "r8in": ("16xlarge", "24xlarge", "32xlarge", "48xlarge", "96xlarge", "metal-48xl", "metal-96xl"),
    "r9g": ("48xlarge", "metal-48xl"),
    "r9gd": ("48xlarge", "metal-48xl"),
    "trn2u": ("48xlarge",),
    "u-6tb1": ("56xlarge", "112xlarge"),
    "u7i-12tb": ("224xlarge",),
    "u7i-6tb": ("112xlarge",),
    "u7i-8tb": ("112xlarge",),
    "u7in-16tb": ("224xlarge",),
    "u7in-24tb": ("224xlarge",),
    "u7in-32tb": ("224xlarge",),
    "x2idn": ("32xlarge", "metal"),
    "x2iedn": ("32xlarge", "metal"),
    "x2iezn": ("12xlarge", "metal"),
    "x8i": ("96xlarge", "metal-96xl"),
}


def problems(instance_type: str, require_100g: bool) -> Iterator[str]:
    """Say what is wrong with a type, a line each; `require_100g`: whether it has to have 100 Gb/s."""
    if has_100g(instance_type):
        return
    if not is_known(instance_type):
        yield (f"{instance_type} is no instance type of EC2 that this botocore knows: correct it, or upgrade boto3")
    elif require_100g:
        family = instance_type.partition(".")[0]
        has = [f"{family}.{size}" for size in HUNDRED_GIGABIT.get(family, ())] or ["c5n.18xlarge", "c5n.metal"]
        yield f"{instance_type} has less than 100 Gb/s: take {' or '.join(has)}"


def has_100g(instance_type: str) -> bool:
    """Whether a type has 100 Gb/s or more at all times."""
    family, _dot, size = instance_type.partition(".")
    return size in HUNDRED_GIGABIT.get(family, ())


def is_known(instance_type: str) -> bool:
    """Whether botocore's model of EC2 lists it; that takes a while to load, and most types need no look at it."""
    import botocore.session  # type: ignore[import-untyped]  # noqa: PLC0415

    model = botocore.session.get_session().get_service_model("ec2")
    return bool(instance_type in model.shape_for("InstanceType").enum)
