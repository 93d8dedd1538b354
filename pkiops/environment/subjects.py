"""The subject of an authority, whichever of the two forms a file gives it in. Pure.

What this module decides: how a declared subject is read. Which subjects are sound is ``authority_checks.py``.
"""

from __future__ import annotations

from pkiops.environment.models import AuthoritySubject
from pkiops.x509.attribute_types import COMMON_NAME, FIELD_OIDS, attribute_oid, by_name


def ordered_attributes(subject: AuthoritySubject) -> tuple[tuple[str, str], ...]:
    """(OID, value) in the order of the file; empty where the subject is given by field, in the service's order."""
    return tuple((attribute_oid(one.get("type", "")) or "", one.get("value", "")) for one in subject.attributes)


def subject_fields(subject: AuthoritySubject) -> dict[str, str]:
    """The subject by name, for showing and for the simple form of the API; the values of a repeated type are joined."""
    if subject.attributes:
        return by_name(ordered_attributes(subject))
    found = ((name, getattr(subject, name)) for name in FIELD_OIDS)
    return {name: value for name, value in found if value}


def subject_oids(subject: AuthoritySubject) -> tuple[tuple[str, str], ...]:
    """(OID, value) of every attribute, in whichever form they are given; by field the order says nothing."""
    found = ((FIELD_OIDS[name], getattr(subject, name)) for name in FIELD_OIDS)
    return ordered_attributes(subject) or tuple((oid, value) for oid, value in found if value)


def common_name(subject: AuthoritySubject) -> str | None:
    """The common name, the last one where there are several (the most specific, as relying parties take it); None without one."""
    names = [value for oid, value in ordered_attributes(subject) if oid == COMMON_NAME]
    return names[-1] if names else subject.common_name
