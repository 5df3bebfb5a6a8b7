# SPDX-License-Identifier: GPL-3.0-or-later
"""A network ACL with all its rules and subnets: a rule that nobody described is removed.

It is stateless: what is let in is not let out again by itself, so answers need rules of their own. A rule is written as
it is read: `allow tcp 443 10.0.0.0/16`, `deny all 10.0.101.0/24`; the lowest number that matches decides, and what none
matches is denied. amazon.aws.ec2_vpc_nacl cannot preview an ACL of subnets that do not exist yet.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import REPLACE, Field, Found, Kind, named, specification, tag_ec2, tags_of

# Protocol numbers (IANA) as the API writes them.
PROTOCOLS = {"all": "-1", "tcp": "6", "udp": "17"}
RULE = re.compile(r"(allow|deny) (?:(all)|(tcp|udp) (\d{1,5})(?:-(\d{1,5}))?) (\S+)")
# The last rule, which AWS puts there itself, and the most that we may (EC2 API reference, CreateNetworkAclEntry).
LAST, MOST = 32767, 32766
FIELDS = {"ingress": False, "egress": True}  # field -> Egress of its entries


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Find what is no rule."""
    for field in FIELDS:
        for number, rule in fields[field].items():
            if not re.fullmatch(r"[1-9][0-9]{0,4}", number) or int(number) > MOST:
                yield f"{field}: {number} is no number of a rule: give one from 1 to {MOST}"
            reason = _wrong(rule)
            if reason:
                yield f"{field} {number}: {rule!r} {reason}"


def _wrong(rule: str) -> str:
    parts = RULE.fullmatch(rule)
    if not parts:
        return "is no rule: write it like 'allow tcp 1024-65535 10.0.1.0/24' or 'deny all 10.0.1.0/24'"
    first, last, network = int(parts[4] or 0), int(parts[5] or parts[4] or 0), parts[6]
    if not first <= last <= 65535 or (parts[5] and first == last):
        return "has no such range of ports: give one port, or the first and the last"
    try:
        ipaddress.IPv4Network(network)
    except ValueError as error:
        return f"names no network: {error}"
    return ""


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them, with their rules as they are written; not the one that AWS makes with each VPC, which is its own."""
    for acl in aws.pages("describe_network_acls", "NetworkAcls", **named(names)):
        if acl["IsDefault"]:
            continue
        tags = tags_of(acl.get("Tags"))
        rules: dict[str, Any] = {
            field: {
                str(entry["RuleNumber"]): _written(entry)
                for entry in acl["Entries"]
                if entry["Egress"] is egress and entry["RuleNumber"] != LAST
            }
            for field, egress in FIELDS.items()
        }
        subnets = sorted(association["SubnetId"] for association in acl["Associations"])
        yield Found(tags.get("Name", ""), acl["NetworkAclId"], {"vpc": acl["VpcId"], "subnets": subnets, **rules}, tags)


def _written(entry: Mapping[str, Any]) -> str:
    protocol = {number: name for name, number in PROTOCOLS.items()}.get(entry["Protocol"], entry["Protocol"])
    ports = entry.get("PortRange")
    between = "" if not ports else f" {ports['From']}" + (f"-{ports['To']}" if ports["To"] != ports["From"] else "")
    return f"{entry['RuleAction']} {protocol}{between} {entry.get('CidrBlock') or entry.get('Ipv6CidrBlock')}"


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it with its rules, and only then put subnets behind it."""
    answer = aws.call(
        "create_network_acl", VpcId=fields["vpc"], TagSpecifications=specification("network-acl", name, tags)
    )
    identifier = str(answer["NetworkAcl"]["NetworkAclId"])
    for field in FIELDS:
        _set_rules(aws, identifier, field, {}, fields[field])
    _take(aws, identifier, fields)
    return identifier


def update(aws: Any, found: Found, fields: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Set its rules one by one, each in place, and its subnets."""
    for field in FIELDS:
        if field in changed:
            _set_rules(aws, found.id, field, found.fields[field], fields[field])
    if "subnets" in changed:
        _take(aws, found.id, fields)
        _give_back(aws, found, set(found.fields["subnets"]) - set(fields["subnets"]))


def _set_rules(aws: Any, acl: str, field: str, there: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for number in sorted(wanted, key=int):
        if there.get(number) != wanted[number]:
            operation = "replace_network_acl_entry" if number in there else "create_network_acl_entry"
            aws.call(operation, **_entry(acl, field, number), **_asked(wanted[number]))
    for number in sorted(there.keys() - wanted.keys(), key=int):
        aws.call("delete_network_acl_entry", **_entry(acl, field, number))


def _entry(acl: str, field: str, number: str) -> dict[str, Any]:
    return {"NetworkAclId": acl, "RuleNumber": int(number), "Egress": FIELDS[field]}


def _asked(rule: str) -> dict[str, Any]:
    parts = RULE.fullmatch(rule)
    if not parts:
        raise ValueError(f"{rule!r} is no rule")
    asked = {"RuleAction": parts[1], "Protocol": PROTOCOLS[parts[2] or parts[3]], "CidrBlock": parts[6]}
    if parts[4]:
        asked["PortRange"] = {"From": int(parts[4]), "To": int(parts[5] or parts[4])}
    return asked


def _take(aws: Any, acl: str, fields: Mapping[str, Any]) -> None:
    """Put its subnets behind the ACL; each is behind exactly one, and goes from that to this in one call."""
    inside = [{"Name": "vpc-id", "Values": [fields["vpc"]]}]
    for other in aws.call("describe_network_acls", Filters=inside)["NetworkAcls"] if fields["subnets"] else ():
        for association in other["Associations"]:
            if association["SubnetId"] in fields["subnets"] and other["NetworkAclId"] != acl:
                identifier = association["NetworkAclAssociationId"]
                aws.call("replace_network_acl_association", AssociationId=identifier, NetworkAclId=acl)


def _give_back(aws: Any, found: Found, subnets: set[str]) -> None:
    """Put subnets that are still behind it behind the one that the VPC began with."""
    default = [{"Name": "vpc-id", "Values": [found.fields["vpc"]]}, {"Name": "default", "Values": ["true"]}]
    (first,) = aws.call("describe_network_acls", Filters=default)["NetworkAcls"]
    there = aws.call("describe_network_acls", NetworkAclIds=[found.id])["NetworkAcls"][0]["Associations"]
    for association in there:
        if association["SubnetId"] in subnets:
            identifier = association["NetworkAclAssociationId"]
            aws.call("replace_network_acl_association", AssociationId=identifier, NetworkAclId=first["NetworkAclId"])


def delete(aws: Any, found: Found) -> None:
    """Give its subnets back, and delete it."""
    _give_back(aws, found, set(found.fields["subnets"]))
    aws.call("delete_network_acl", NetworkAclId=found.id)


KIND = Kind(
    name="network_acl",
    says="A network ACL with all its rules and the subnets behind it.",
    service="ec2",
    fields=(
        Field("vpc", "Name or id of the VPC.", change=REPLACE, required=True, to="vpc"),
        Field("subnets", "Names or ids of the subnets behind it. Others go back behind the VPC's default ACL.", "list",
              default=[], elements="str", to="subnet"),
        Field("ingress", "What is let in: number of each rule and the rule, like V(allow tcp 1024-65535 10.0.1.0/24) "
              "or V(deny all 10.0.1.0/24). A rule that is not listed is removed.", "dict", default={}),
        Field("egress", "What is let out, likewise.", "dict", default={}),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidNetworkAclID.NotFound", "InvalidVpcID.NotFound", "InvalidSubnetID.NotFound",
               "InvalidSubnetId.NotFound", "InvalidAssociationID.NotFound"),
    problems=problems,
    example={"name": "trading-data", "vpc": "trading", "subnets": ["trading-database"],
             "ingress": {"100": "allow tcp 5432 10.0.1.0/24"}, "egress": {"100": "allow tcp 1024-65535 10.0.1.0/24"}},
)  # fmt: skip
