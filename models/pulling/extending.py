"""A description that builds on another: what it says stands, the rest is the base's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

Raw = Mapping[str, object]
Merge = Callable[[Raw, Raw], dict[str, object]]
_SHARED = ("hub", "revision", "archive")  # said once of a component, meant of each file


def spread(raw: Raw) -> dict[str, object]:
    """What a component says of all its files, said of each: then files can be told apart."""
    table = dict(raw)
    if not isinstance(raw.get("component"), list):
        return table
    table["component"] = [_spread(part) for part in cast(list[object], raw["component"])]
    return table


def extended(base: Raw, own: Raw) -> dict[str, object]:
    """`own` on top of `base`, both spread: tables key by key, components by name, files by `to`."""
    merged = _over(base, own)
    merged["component"] = _listed(base, own, "component", "name", _component)
    return merged


def _component(base: Raw, own: Raw) -> dict[str, object]:
    merged = {**base, **own}
    if "folder" in own:
        base = {}  # all of it comes from there
        merged.pop("file", None)
    files = _listed(base, own, "file", "to", lambda _, file: dict(file))
    if files:
        merged["file"] = files
    return merged


def _over(base: Raw, own: Raw) -> dict[str, object]:
    merged = dict(base)
    for key, value in own.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = {**cast(Raw, old), **cast(Raw, value)} if both else value
    return merged


def _listed(base: Raw, own: Raw, key: str, identity: str, merge: Merge) -> list[object]:
    """The items under `key` in both; those of one identity are merged, in the base's order."""
    items: dict[object, Raw] = {}
    for table in (base, own):
        for item in _tables(table.get(key)):
            name = item.get(identity)
            known = items.get(name)
            items[name] = item if known is None else merge(known, item)
    return list(items.values())


def _spread(part: object) -> object:
    if not isinstance(part, dict):
        return part  # the schema says what is wrong with it
    shared = {key: part[key] for key in _SHARED if key in part}
    rest = {key: value for key, value in part.items() if key not in _SHARED}
    licence = {key: part[key] for key in ("licence",) if key in part}
    if isinstance(part.get("file"), list):
        rest["file"] = [_with_shared(file, shared, licence) for file in part["file"]]
    return rest


def _with_shared(file: object, shared: Raw, licence: Raw) -> object:
    if not isinstance(file, dict):
        return file
    placed = "from" not in file or "hub" in file or "archive" in file
    return {**licence, **file} if placed else {**licence, **shared, **file}


def _tables(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
