"""Is what a file says about CAs that are kept elsewhere sound?

Pure. Such a CA is never made and never asked: all the file can say is who it is and who is above it. What must be below it is the business of
``authority_checks.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pkiops.environment.finding import Finding, KeyPath, listed, nearest
from pkiops.environment.models import Environment
from pkiops.environment.settings_checks import check_subject
from pkiops.environment.subjects import common_name


def check_external_authorities(environment: Environment, levels: Mapping[str, int | None]) -> Iterator[Finding]:
    """Every finding about them; ``levels`` tells which have a sound chain, as ``authority_checks`` counts."""
    for label, ours in environment.authorities.items():
        if ours.renew_from is not None and ours.issuer in environment.external_authorities:
            message = f"{ours.issuer} is kept elsewhere and signs when it likes: remove this; pkiops ca install brings the new certificate"
            yield Finding(("authorities", label, "renew_from"), message, "env.external", at_key=True)
    pins: dict[str, str] = {}
    names = {common_name(one.subject): label for label, one in environment.authorities.items()}
    for label, authority in environment.external_authorities.items():
        path: KeyPath = ("external_authorities", label)
        if label in environment.authorities:
            message = "authorities has this name too; give one of them another name"
            yield Finding(path, message, "env.external", at_key=True)
        if authority.subject is None and authority.sha256 is None:
            message = "says nothing about the CA; write its subject, the sha256 of its certificate, or both"
            yield Finding(path, message, "env.external", at_key=True)
        if authority.subject is not None:
            yield from check_subject(authority.subject, (*path, "subject"))
            name = common_name(authority.subject)
            if name is not None and name in names:
                message = f"authority {names[name]} has this name too; two keys under one name break chain building"
                yield Finding((*path, "subject", "common_name"), message, "env.common-name")
            names.setdefault(name, label)
        if authority.sha256 is not None and authority.sha256 in pins:
            message = f"is the certificate of {pins[authority.sha256]} too; one CA is declared once"
            yield Finding((*path, "sha256"), message, "env.external")
        pins.setdefault(authority.sha256 or "", label)
        yield from _check_issuer(environment, label, levels)


def _check_issuer(environment: Environment, label: str, levels: Mapping[str, int | None]) -> Iterator[Finding]:
    outside = environment.external_authorities
    issuer = outside[label].issuer
    path: KeyPath = ("external_authorities", label, "issuer")
    if issuer is None or label in environment.authorities:
        return
    if issuer in environment.authorities:
        message = f"{issuer} is a CA of ours, and what it signs belongs under authorities; write one of those kept elsewhere, or nothing for a root"
        yield Finding(path, message, "env.issuer")
    elif issuer not in outside:
        close = nearest(issuer, outside)
        advice = f"did you mean {close}?" if close else f"write {listed(outside)}"
        yield Finding(path, f"there is no such authority kept elsewhere; {advice}", "env.issuer")
    elif levels.get(label) == 0:
        yield Finding(path, "this authority is its own issuer in the end; break the loop", "env.loop")
