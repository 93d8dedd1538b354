"""What of a broken file can still be checked, so that all of its problems are told at once.

A file with one misspelled key should not hide that a child outlives its parent. ``salvage`` takes out every authority, profile and
bundle with something wrong in it, and what depends on it, and puts a sound stand-in where the rest of the file, or a root, is broken.
Leaving things out can only make ``checks.py`` say less, never more; where that is not so (no root left) nothing is salvaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pkiops.environment.finding import KeyPath
from pkiops.environment.models import Persona
from pkiops.homes import partition_of

_BACKEND = {"type": "aws-private-ca", "region": "eu-west-1", "account": "000000000000"}
_LEDGER = {"type": "sqlite", "path": "ledger.db"}
_PUBLICATION = {"crl": {"bucket": "one", "host": "host.invalid"}, "trust": {"bucket": "two"}}


def salvage(value: Mapping[str, Any], bad: Iterable[KeyPath], stem: str) -> dict[str, Any] | None:
    """The part of ``value`` without anything at or below a ``bad`` path, or None where too little is left to check."""
    wrong = list(bad)
    if () in wrong:
        return None
    broken = {path[0] for path in wrong}
    trust = value.get("trust", {})
    parts = {
        "authorities": _sound(value.get("authorities"), ("authorities",), wrong),
        "profiles": _sound(value.get("profiles", {}), ("profiles",), wrong),
        "bundles": _sound(trust.get("bundles", {}) if isinstance(trust, dict) else None, ("trust", "bundles"), wrong),
    }
    known = _stand_in_roots(value.get("authorities"), wrong) | parts["authorities"]
    outside = _outside(value.get("external_authorities"), wrong)
    authorities, lost = _with_issuers(known, value.get("authorities"))
    if not any(authority.get("issuer") in (None, *outside) for authority in authorities.values()):
        return None
    backend = value["backend"] if "backend" in value and "backend" not in broken else _BACKEND
    return {
        "schema": 1,
        "environment": stem if "environment" in broken or "environment" not in value else value["environment"],
        "backend": backend,
        "access": _access(backend) if "access" in broken or "backend" in broken else value.get("access", {}),
        "ledger": value["ledger"] if "ledger" in value and "ledger" not in broken else _LEDGER,
        "publication": value["publication"] if "publication" in value and "publication" not in broken else _PUBLICATION,
        "authorities": authorities,
        "external_authorities": outside,
        "profiles": {name: p for name, p in parts["profiles"].items() if p.get("authority") not in lost},
        "trust": {
            "bundles": {n: b for n, b in parts["bundles"].items() if not lost.intersection(b.get("anchors", ()))}
        },
    }


def _sound(entries: object, path: KeyPath, wrong: list[KeyPath]) -> dict[str, Any]:
    """The entries of a mapping that no bad path touches."""
    if not isinstance(entries, dict):
        return {}
    touched = {bad[len(path)] for bad in wrong if len(bad) > len(path) and bad[: len(path)] == path}
    return {name: entry for name, entry in entries.items() if name not in touched and isinstance(entry, dict)}


def _access(backend: Mapping[str, Any]) -> dict[str, str]:
    """A role for every persona, so that homes which name one of their own are not told that nobody is known to be it."""
    root = f"arn:{partition_of(backend['region'])}:iam::{backend['account']}:role/"
    return {persona.value: root + persona.value for persona in Persona}


def _stand_in_roots(declared: object, wrong: list[KeyPath]) -> dict[str, Any]:
    """For each declared root one that outlives everything, so that what is below a broken root is still checked."""
    if not isinstance(declared, dict):
        return {}
    return {
        label: {"subject": {"common_name": f"stand-in {label}"}, "validity": "1000y", "crl": {"validity": "1d"}}
        for label, entry in declared.items()
        if isinstance(entry, dict) and "issuer" not in entry and ("authorities", label) not in wrong
    }


def _outside(declared: object, wrong: list[KeyPath]) -> dict[str, Any]:
    """The authorities that are kept elsewhere, each broken one replaced by a sound one of that name."""
    if not isinstance(declared, dict):
        return {}
    sound = _sound(declared, ("external_authorities",), wrong)
    labels = [label for label in declared if ("external_authorities", label) not in wrong]
    return {label: sound.get(label, {"sha256": f"{number:064x}"}) for number, label in enumerate(labels)}


def _with_issuers(sound: dict[str, Any], declared: object) -> tuple[dict[str, Any], set[str]]:
    """The sound authorities whose chain holds no broken one, and the labels of all others."""
    lost = {label for label in declared if label not in sound} if isinstance(declared, dict) else set()
    while True:
        orphans = {label for label, authority in sound.items() if label not in lost and authority.get("issuer") in lost}
        if not orphans:
            return {label: authority for label, authority in sound.items() if label not in lost}, lost
        lost |= orphans
