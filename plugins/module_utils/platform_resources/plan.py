# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done: wanted and found compared. Pure: it asks nothing and changes nothing.

It is the diff, the answer of check mode, the list of actions, and what is applied: one and the same plan.

Whose a resource is, its tags say. Ours carries the MARKS of the run. Of two with one name the foreign one is not seen
where AWS allows two, and refused where it does not. One that carries none of the marks is nobody's: it is left alone
until `adopt` is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from .kind import FAILED, NEVER, REPLACE, TAGS, Field, Found, Kind
from .lookups import LOOKUPS

# The six tags that every resource carries, and those of them that say whose it is.
SIX_TAGS = ("Environment", "Project", "ManagedBy", "Team", "CostCenter", "Compliance")
MARKS = ("Project", "Environment", "ManagedBy")
UNKNOWN = "(known after apply)"

CREATE, UPDATE, REPLACED, TAG, DELETE, SAME = "create", "update", "replace", "tag", "delete", "same"

Key = tuple[str, str]  # (kind, name)


@dataclass(frozen=True)
class Wanted:
    """A resource that is asked for. `fields` names others by their names; `absent`: it shall not be there."""

    kind: str
    name: str
    fields: Mapping[str, Any]
    absent: bool = False

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return (self.kind, self.name)


@dataclass(frozen=True)
class Known:
    """What has been read: `found` by kind, and for each kind of lookup the ids that a name has."""

    found: Mapping[str, Sequence[Found]]
    looked_up: Mapping[str, Mapping[str, Sequence[str]]] = dataclass_field(default_factory=dict)


def without_marks(tags: Mapping[str, str]) -> str:
    """What is wrong with tags that do not say whose a resource is, as one line; nothing where they do."""
    lacking = [mark for mark in MARKS if not tags.get(mark)]
    return f"tags lack {' and '.join(lacking)}, which tell what is ours: set them in ironbook_tags" if lacking else ""


@dataclass(frozen=True)
class Run:
    """What holds for the whole run. `check`: what others were to provide before may be lacking, it is only shown.

    `purge`: the kinds of which nothing of ours stays that nobody asked for.
    """

    tags: Mapping[str, str]
    adopt: bool = False
    check: bool = False
    purge: Collection[str] = ()

    def owner(self, tags: Mapping[str, str]) -> str:
        """Return `ours`, `nobody`, or the mark that says whose what carries these tags is."""
        if all(tags.get(mark) == self.tags[mark] for mark in MARKS):
            return "ours"
        others = [f"{mark} {tags[mark]}" for mark in MARKS if mark in tags and tags[mark] != self.tags[mark]]
        return others[0] if others else "nobody"

    def lacking(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Return our tags that are not among these, or are otherwise."""
        return {key: value for key, value in self.tags.items() if tags.get(key) != value}


@dataclass(frozen=True)
class Step:
    """What is done with one resource. `changed`: names of fields, and `tags`. `before`, `after`: as a diff shows it."""

    wanted: Wanted
    action: str
    changed: Sequence[str] = ()
    found: Found | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None

    @property
    def told(self) -> dict[str, Any]:
        """The step as the modules report it."""
        told: dict[str, Any] = {"kind": self.wanted.kind, "name": self.wanted.name, "action": self.action}
        return {**told, "fields": list(self.changed)} if self.changed else told


class Planner:
    """Plans one run: `steps`, and a line in `problems` for each thing that cannot be done."""

    def __init__(self, kinds: Mapping[str, Kind], wanted: Sequence[Wanted], known: Known, run: Run) -> None:
        """Plan everything."""
        self.kinds, self.known, self.run = kinds, known, run
        self.wanted = {resource.key: resource for resource in wanted}
        self.steps: dict[Key, Step] = {}
        self.problems: list[str] = []
        # What a reference becomes depends on whether what it names is made anew: that is planned first.
        for key in in_order(kinds, self.wanted):
            resource = self.wanted[key]
            try:
                self.steps[key] = self._absent(resource) if resource.absent else self._present(resource)
            except ValueError as error:
                self.problems.append(f"{resource.kind} {resource.name}: {error}")

    def resolve(self, resource: Wanted, made: Mapping[Key, str]) -> dict[str, Any]:
        """Return its fields with ids in place of names; `made`: the ids of what this run has made. ValueError: none."""
        fields = dict(resource.fields)
        for field in self.kinds[resource.kind].fields:
            value = fields[field.name]
            if value is TAGS:
                fields[field.name] = dict(self.run.tags)
            elif field.to and isinstance(value, Mapping):
                fields[field.name] = {key: self._id(field, name, made) for key, name in value.items()}
            elif field.to and isinstance(value, list):
                fields[field.name] = sorted({self._id(field, name, made) for name in value})
            elif field.to and value is not None:
                fields[field.name] = self._id(field, value, made)
        return fields

    def _id(self, field: Field, name: str, made: Mapping[Key, str]) -> str:
        to = field.to
        if name in field.words or (to in LOOKUPS and LOOKUPS[to].is_id(name)):
            return name
        if to in LOOKUPS:
            return self._the_one(to, name, self.known.looked_up.get(to, {}).get(name, ()))
        key = (to, name)
        if key in made:
            return made[key]
        if key in self.wanted and self.wanted[key].absent:
            raise ValueError(f"it names the {to} {name}, which this run removes: name another")
        step = self.steps.get(key)
        if key in self.wanted and (step is None or step.action in (CREATE, REPLACED)):
            return name if self.kinds[to].id_is_name else UNKNOWN
        there = [found for found in self.known.found.get(to, ()) if found.name == name]
        there = [found for found in there if self.run.owner(found.tags) == "ours"] or there
        return self._the_one(to, name, [found.id for found in there])

    def _the_one(self, to: str, name: str, ids: Sequence[str]) -> str:
        if len(ids) > 1:
            raise ValueError(f"several of {to} are named {name} ({', '.join(ids)}): rename all but one")
        if not ids and not self.run.check:
            raise ValueError(f"it names the {to} {name}, which does not exist: correct the name, or provide that first")
        return ids[0] if ids else UNKNOWN

    def _absent(self, resource: Wanted) -> Step:
        found = self._ours(resource)
        if found is None:
            return Step(resource, SAME)
        return Step(resource, DELETE, found=found, before=shown(found.fields, found.tags))

    def _present(self, resource: Wanted) -> Step:
        kind, run = self.kinds[resource.kind], self.run
        found = self._ours(resource) or self._nobodys(resource)
        fields = self.resolve(resource, {})
        if found is None:
            return Step(resource, CREATE, after=shown(fields, run.tags))
        before, lacking = shown(found.fields, found.tags), run.lacking(found.tags)
        changed = differing(kind, fields, found)
        if found.state == FAILED:
            raise ValueError("AWS says that it has failed: remove it (state: absent), and run again")
        for name in changed:
            if kind.field_named(name).change == NEVER:
                raise ValueError(
                    f"{name} is {found.fields[name]} and cannot become {fields[name]}: "
                    "give the new one another name, or remove this one (state: absent) first"
                )
        if any(kind.field_named(name).change == REPLACE for name in changed):
            return Step(resource, REPLACED, changed, found, before, shown(fields, run.tags))
        after = shown(fields, {**found.tags, **lacking})
        changed = [*changed, *(["tags"] if lacking else [])]
        action = SAME if not changed else TAG if changed == ["tags"] else UPDATE
        return Step(resource, action, changed, found, before, after)

    def _ours(self, resource: Wanted) -> Found | None:
        ours = [found for found in self._named(resource) if self.run.owner(found.tags) == "ours"]
        if len(ours) > 1:
            ids = ", ".join(found.id for found in ours)
            raise ValueError(f"there are several of ours ({ids}): remove all but one")
        return ours[0] if ours else None

    def _nobodys(self, resource: Wanted) -> Found | None:
        """What has the name and is not ours: refused, but for what is nobody's and is to be adopted."""
        named = list(self._named(resource))
        nobodys = [found for found in named if self.run.owner(found.tags) == "nobody"]
        if not nobodys and named and self.kinds[resource.kind].name_is_unique:
            raise ValueError(
                f"it exists and is somebody else's ({self.run.owner(named[0].tags)}): give ours another name"
            )
        if nobodys and not self.run.adopt:
            raise ValueError(
                f"{nobodys[0].id} has that name and lacks the tags that say whose it is ({', '.join(MARKS)}): "
                "take it under management (adopt: true), or give ours another name"
            )
        if len(nobodys) > 1:
            raise ValueError(f"{' and '.join(found.id for found in nobodys)} have that name: rename all but one")
        return nobodys[0] if nobodys else None

    def _named(self, resource: Wanted) -> Iterator[Found]:
        return (found for found in self.known.found.get(resource.kind, ()) if found.name == resource.name)


def left_over(wanted: Iterable[Wanted], known: Known, run: Run) -> list[Wanted]:
    """Return what is ours of the kinds that the run purges and is not asked for: it shall not be there."""
    asked = {resource.key for resource in wanted}
    there = {(kind, found.name) for kind in run.purge for found in known.found[kind] if run.owner(found.tags) == "ours"}
    return [Wanted(kind, name, {}, absent=True) for kind, name in sorted(there - asked)]


def shown(fields: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Return a resource as a diff shows it."""
    return {**fields, "tags": dict(sorted(tags.items()))}


def differing(kind: Kind, fields: Mapping[str, Any], found: Found) -> list[str]:
    """Return the names of the fields that are not as they are wanted."""
    return [field.name for field in kind.fields if found.fields[field.name] != fields[field.name]]


def references(kind: Kind, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (kind or lookup, name) for all that the fields of a resource name."""
    for field in kind.fields:
        value = fields.get(field.name)
        if field.to and value is not None:
            names = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
            yield from ((field.to, name) for name in names if name not in field.words)


def in_order(kinds: Mapping[str, Kind], wanted: Iterable[Key]) -> list[Key]:
    """Return the keys so that what a resource may rest on comes before it."""
    rank: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in rank:
            rank[name] = 1 + max((depth(other) for other in kinds[name].rests_on if other in kinds), default=0)
        return rank[name]

    return sorted(wanted, key=lambda key: (depth(key[0]), key))


def before_each(kinds: Mapping[str, Kind], steps: Mapping[Key, Step]) -> dict[Key, set[Key]]:
    """Return for each step those that must be done before it: what it names; for a removal, all that may name it."""
    order: dict[Key, set[Key]] = {}
    for key, step in steps.items():
        kind = kinds[step.wanted.kind]
        if step.action == DELETE:
            order[key] = {other for other in steps if kind.name in kinds[other[0]].rests_on}
        else:
            order[key] = {named for named in references(kind, step.wanted.fields) if named in steps}
    return order


def wanted_of(kinds: Mapping[str, Kind], options: Mapping[str, Any]) -> list[Wanted]:
    """Return what the options of the module ask for. ValueError: a line for each thing that is wrong with them."""
    wanted: dict[Key, Wanted] = {}
    problems = [f"tags lack {tag}, which every resource carries: set it in ironbook_tags"
                for tag in SIX_TAGS if not options["tags"].get(tag)]  # fmt: skip
    for kind in kinds.values():
        for given in options.get(kind.plural) or ():
            absent = given.get("state") == "absent"
            fields = {field.name: _given(field, given.get(field.name)) for field in kind.fields}
            resource = Wanted(kind.name, given["name"], fields, absent)
            if resource.key in wanted:
                problems.append(f"{kind.name} {resource.name}: it is given twice: remove one")
            wanted[resource.key] = resource
            if not absent:
                wrong = kind.problems({"name": resource.name, **fields})
                problems += [f"{kind.name} {resource.name}: {problem}" for problem in wrong]
    if problems:
        raise ValueError("\n".join(problems))
    return list(wanted.values())


def _given(field: Field, value: Any) -> Any:
    if value is None:
        return list(field.default or ()) if field.type == "list" else field.default
    if field.type == "list":  # nothing that AWS lists has an order
        return sorted(value)
    return {str(key): str(each) for key, each in value.items()} if field.type == "dict" else value
