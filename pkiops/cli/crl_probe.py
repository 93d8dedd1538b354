"""``--probe`` of ``crl status`` and ``crl publish``: fetching distribution points, and showing what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pkiops.cli.output import iso, note, table
from pkiops.errors import BackendError, GuardRefused, InputError, VerificationFailed

# a publishing job has done its work by then: it waits no longer than this for each point
_PATIENCE_S = 5.0

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pkiops.crl.connect import ConnectRule
    from pkiops.crl.fetch import CrlBackend
    from pkiops.crl.manifest import CrlRecord
    from pkiops.crl.publish import PublishOutcome
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


def source_rules(given: Sequence[str], source: str) -> tuple[ConnectRule, ...]:
    """What ``--connect-to`` says of one URL to fetch.

    Raises:
        InputError: it is no rule, or ``source`` is a file.
    """
    if not given:
        return ()
    from pkiops.crl.connect import parse_rule
    from pkiops.crl.download import is_url

    if not is_url(source):
        raise InputError(f"--connect-to is for URLs, and {source} is none", code="usage.arguments")
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
    from pkiops.crl.reach import compared, distribution_points, probe
    from pkiops.crl.status_authorities import find_cas

    found = find_cas(factory.environment, factory.trust_store, lambda: service_of(factory), factory.clock.now)
    records = [one.facts.published.record for one in status.authorities if one.facts.published]
    published, parts = _numbers(records)
    points, skipped = distribution_points(found.authorities.known, factory.backend.crl_url, published, parts)
    silent = {one.facts.name for one in status.authorities if one.facts.published is None}
    probed = probe(points, factory.clock, rules=rules or sandbox_rules(factory), silent=silent)
    probed = compared(probed, _digests(records))
    _remember(factory, probed, rules)
    findings = (*status.findings, *(finding for one in probed for finding in one.findings))
    worst_first = tuple(sorted(findings, key=lambda one: -one.severity))
    return replace(status, findings=worst_first, skipped=(*status.skipped, *skipped)), probed


def _remember(factory: Factory, probed: Sequence[ProbedPoint], given: Sequence[ConnectRule]) -> None:
    """Record which hosts have answered, where the file has issuers ask for that; whoever may not write there is told.

    What answered at another place (``--connect-to``: a CDN that DNS does not lead to yet) does not count, unless AWS is stood in for as a whole.
    """
    if not factory.environment.publication.crl.require_reachable:
        return
    from pkiops.crl.reached import asked_in_place, reached_key, record_reached
    from pkiops.environment.endpoints import is_of_one_region

    name = factory.environment.environment
    endpoint = factory.clients.access.endpoint_urls.get("acm-pca")
    if endpoint is None or is_of_one_region("acm-pca", endpoint):
        probed, aside = asked_in_place(probed, given)
        for host in aside:
            note(f"{host} is not recorded: it was asked where --connect-to says, and not where relying parties look")
    try:
        for host in record_reached(factory.trust_store, name, probed, factory.clock.now()):
            note(f"{host} answers: recorded, so that issuers need not ask")
    except (BackendError, GuardRefused, VerificationFailed) as error:
        # what was asked for is done, and its result has to be said
        note(f"not recorded in {reached_key(name)}, which is the publisher's to write: {error.message}")


def probe_published(factory: Factory, outcome: PublishOutcome, rules: Sequence[ConnectRule]) -> tuple[ProbedPoint, ...]:
    """Ask the distribution points of the CAs whose CRLs were just published, each for a few seconds."""
    from pkiops.crl.reach import compared, distribution_points, probe

    # of a thousand parts, those that have just changed
    records = [one.record for one in outcome.records if one.record.scope is None or one.change != "unchanged"]
    published, parts = _numbers(records)
    points, _ = distribution_points(outcome.authorities, factory.backend.crl_url, published, parts)
    # of one without a published CRL there is nothing to compare
    asked = [one for one in points if one.published is not None]
    probed = probe(asked, factory.clock, rules=rules or sandbox_rules(factory), timeout=_PATIENCE_S)
    probed = compared(probed, _digests(records))
    _remember(factory, probed, rules)
    return probed


def service_of(factory: Factory) -> CrlBackend:
    """The backend, once the account is known to be the right one."""
    factory.check_account()
    return factory.backend


def _numbers(records: Iterable[CrlRecord]) -> tuple[dict[str, int], Mapping[str, dict[str, int]]]:
    """The numbers of published CRLs by the CA's name; and of those in parts, by the CA's name and the part's URL."""
    published: dict[str, int] = {}
    parts: dict[str, dict[str, int]] = {}
    for one in records:
        if one.scope is None:
            published[one.name] = one.number
        else:
            parts.setdefault(one.ca, {})[one.scope] = one.number
    return published, parts


def _digests(records: Iterable[CrlRecord]) -> Mapping[str, set[str]]:
    """SHA-256 of published CRLs by the CA's name."""
    found: dict[str, set[str]] = {}
    for one in records:
        found.setdefault(one.ca, set()).add(one.sha256)
    return found


def note_points(probed: Sequence[ProbedPoint] | None) -> None:
    """Say what is wrong at the distribution points. Nothing of it makes publishing fail: what relying parties fetch there is not written by us."""
    from pkiops.crl.status_facts import Severity

    for one in probed or ():
        for finding in one.findings:
            if finding.severity >= Severity.WARNING:
                note(f"distribution point of {one.point.authority}: {finding.code}: {finding.message} ({finding.hint})")


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
