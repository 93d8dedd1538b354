"""``crl status --probe``: fetching distribution points, and showing what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pkiops.cli.output import iso, table
from pkiops.errors import InputError

if TYPE_CHECKING:
    from pkiops.crl.connect import ConnectRule
    from pkiops.crl.reach import ProbedPoint
    from pkiops.crl.status_facts import CrlStatus
    from pkiops.factory import Factory


def probe_rules(given: Sequence[str], *, probe: bool) -> tuple[ConnectRule, ...]:
    """What ``--connect-to`` says.

    Raises:
        InputError: it is no rule, or nothing is probed.
    """
    if not given:
        return ()
    from pkiops.crl.connect import parse_rule

    if not probe:
        raise InputError("--connect-to goes with --probe", code="usage.arguments")
    return tuple(parse_rule(one) for one in given)


def sandbox_rules(factory: Factory) -> tuple[ConnectRule, ...]:
    """A sandbox answers for every host that its CAs name; elsewhere there is nothing to say."""
    from urllib.parse import urlsplit

    from pkiops.crl.connect import ConnectRule

    if not factory.environment.backend.sandbox:
        return ()
    url = urlsplit(factory.clients.access.endpoint_urls["acm-pca"])
    return (ConnectRule(None, None, url.hostname, url.port or (443 if url.scheme == "https" else 80)),)


def probe_points(
    factory: Factory, status: CrlStatus, rules: Sequence[ConnectRule]
) -> tuple[CrlStatus, tuple[ProbedPoint, ...]]:
    """Ask every distribution point; the status with what was found there, and the points."""
    from pkiops.crl.reach import distribution_points, probe
    from pkiops.crl.status_authorities import find_cas

    found = find_cas(factory.environment, factory.trust_store, lambda: factory.backend, factory.clock.now)
    published = {
        one.facts.name: one.facts.published.record.number
        for one in status.authorities
        if one.facts.published is not None
    }
    points, skipped = distribution_points(found.authorities.known, factory.backend.crl_url, published)
    silent = {one.facts.name for one in status.authorities if one.facts.published is None}
    probed = probe(points, factory.clock, rules=rules or sandbox_rules(factory), silent=silent)
    findings = (*status.findings, *(finding for one in probed for finding in one.findings))
    worst_first = tuple(sorted(findings, key=lambda one: -one.severity))
    return replace(status, findings=worst_first, skipped=(*status.skipped, *skipped)), probed


def points_text(probed: Sequence[ProbedPoint] | None) -> str:
    """A table of the points; nothing where none were asked."""
    if probed is None:
        return ""
    rows = [
        (
            one.point.authority,
            "answers" if one.answers else one.findings[0].code,
            "-" if one.number is None else str(one.number),
            "-" if one.next_update is None else iso(one.next_update),
            one.point.url,
        )
        for one in probed
    ]
    return table(("CA", "DISTRIBUTION POINT", "NUMBER", "NEXT UPDATE", "URL"), rows) + "\n\n"


def points_json(probed: Sequence[ProbedPoint] | None) -> dict[str, Any]:
    """The points for programs; ``distribution_points`` is null where none were asked."""
    if probed is None:
        return {"distribution_points": None}
    return {
        "distribution_points": [
            {
                "authority": one.point.authority,
                "url": one.point.url,
                "answers": one.answers,
                "number": one.number,
                "published_number": one.point.published,
                "next_update": one.next_update,
                "codes": [finding.code for finding in one.findings],
            }
            for one in probed
        ]
    }
