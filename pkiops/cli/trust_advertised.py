"""What ``pkiops trust handshake --advertised`` prints of a server, and the exit code that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkiops.cli.output import table
from pkiops.errors import Unreachable, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkiops.trust.advertised import ClientAnswer, Survey, VersionAnswer
    from pkiops.trust.advertised_names import Comparison, JudgedName, OurName
    from pkiops.trust.handshake import Attempt

_MISSING = (
    "clients in Java and Go send no certificate, and browsers offer none, unless a CA of its chain is advertised: to the server they look as if "
    "they had none"
)
_FOREIGN = "a server that advertises a CA most likely trusts it: clients of the foreign ones get in as well"
_EMPTY = "it advertises no names, so every client chooses among all of its certificates; what the server trusts cannot be told from that"


@dataclass(frozen=True)
class Against:
    """The bundle that a server is compared with: ``dev/services``, and the names of its CAs."""

    bundle: str
    ours: tuple[OurName, ...]


def survey_text(attempt: Attempt, found: Survey, against: Against | None) -> str:
    """The result for people."""
    blocks = []
    for answers in _alike(found.versions):
        comparison = _comparison(answers[0], against)
        over = " and ".join(one.tls for one in answers)
        blocks.append(f"{attempt.address} over TLS {over}: {_asked(answers[0])}")
        if comparison is not None:
            blocks += _names(comparison, against)
            blocks += [f"  note:  {text}" for text in _notes(answers[0], comparison, against)]
    rows = [
        (
            one.client,
            one.tls,
            one.outcome.result.value,
            "as expected" if one.as_expected else "NOT EXPECTED",
            one.alert or "",
            one.outcome.summary,
        )
        for one in found.clients
    ]
    if rows:
        blocks += ["", table(("CLIENT", "TLS", "RESULT", "", "ALERT", "REASON"), rows)]
    return "\n".join(blocks).lstrip("\n")


def _alike(versions: tuple[VersionAnswer, ...]) -> Iterator[list[VersionAnswer]]:
    """Neighbours that differ in their version only, together."""
    group: list[VersionAnswer] = []
    for one in versions:
        if group and (_names_of(group[0]), group[0].asks, group[0].problem) != (_names_of(one), one.asks, one.problem):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _names_of(answer: VersionAnswer) -> tuple[bytes, ...] | None:
    return None if answer.request is None else tuple(one.key for one in answer.request.names)


def _asked(answer: VersionAnswer) -> str:
    from pkiops.trust.advertised import Asks

    if answer.request is not None:
        number = len(answer.request.names)
        names = {0: "no names of CAs", 1: "1 name of a CA"}.get(number, f"{number} names of CAs")
        return f"asks for a client certificate and advertises {names}"
    return {
        Asks.YES: f"asks for a client certificate, in a message that cannot be read: {answer.problem}",
        Asks.NO: "does NOT ask for a client certificate: this is no mutual TLS",
        Asks.NOT_OFFERED: "not offered by this server",
        Asks.UNKNOWN: f"the handshake ended before the server could ask: {answer.problem}",
    }[answer.asks]


def _comparison(answer: VersionAnswer, against: Against | None) -> Comparison | None:
    from pkiops.trust.advertised_names import compare

    if answer.request is None:
        return None
    return compare(answer.request.names, against.ours if against else ())


def _names(comparison: Comparison, against: Against | None) -> list[str]:
    if against is None:
        return [f"  {one.name.text}" for one in comparison.names]
    rows = [(one.name.text, _whose(one)) for one in comparison.names]
    rows += [(own.name.text, f"MISSING: {own.role} {own.authority}") for own in comparison.missing]
    return [f"  {line}" for line in table(("NAME", against.bundle), rows).split("\n")] if rows else []


def _whose(one: JudgedName) -> str:
    return ", ".join(f"{own.role} {own.authority}" for own in one.ours) or "FOREIGN"


def _notes(answer: VersionAnswer, comparison: Comparison, against: Against | None) -> Iterator[str]:
    if answer.request is not None and not answer.request.names:
        yield _EMPTY
    if against is None:
        return
    if comparison.foreign:
        yield _FOREIGN
    if comparison.missing:
        yield _MISSING


def survey_json(attempt: Attempt, found: Survey, against: Against | None) -> dict[str, Any]:
    """The result for programs."""
    return {
        "address": str(attempt.address),
        "bundle": against.bundle if against else None,
        "versions": [_version_json(one, against) for one in found.versions],
        "clients": [_client_json(one) for one in found.clients],
    }


def _version_json(answer: VersionAnswer, against: Against | None) -> dict[str, Any]:
    comparison = _comparison(answer, against)
    names = None
    if comparison is not None:
        names = [
            {
                "name": one.name.text,
                "readable": one.name.readable,
                "foreign": (not one.ours) if against else None,
                "authorities": [{"name": own.authority, "role": own.role.value} for own in one.ours],
            }
            for one in comparison.names
        ]
    missing = [{"authority": own.authority, "name": own.name.text} for own in comparison.missing] if comparison else []
    return {
        "tls": answer.tls,
        "asks": answer.asks.value,
        "problem": answer.problem,
        "names": names,
        "missing": missing if against else None,
        "signature_schemes": [f"0x{one:04x}" for one in answer.request.signature_schemes] if answer.request else None,
    }


def _client_json(one: ClientAnswer) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "client": one.client,
        "tls": one.tls,
        "result": outcome.result.value,
        "refused_by": outcome.refused_by.value if outcome.refused_by else None,
        "expected": "accepted" if one.expect_accepted else "refused",
        "as_expected": one.as_expected,
        "alert": one.alert,
        "code": outcome.code,
        "summary": outcome.summary,
        "advice": outcome.advice,
        "http_status": outcome.http_status,
    }


def require_answers(attempt: Attempt, found: Survey, against: Against | None) -> None:
    """Return if the server asks, advertises what it ought to, and lets in whom it ought to.

    Raises:
        Unreachable: it cannot be reached.
        VerificationFailed: it does not, or nothing could be learned.
    """
    from pkiops.trust.advertised import Asks

    address = attempt.address
    if (outcome := found.unreachable) is not None:
        raise Unreachable(f"{address}: {outcome.summary}", hint=outcome.advice, code=f"handshake.{outcome.code}")
    if any(one.asks is Asks.NO for one in found.versions):
        raise VerificationFailed(
            f"{address}: the server does not ask for a client certificate",
            hint="switch client verification on in its configuration",
            code="handshake.not-asked",
        )
    blind = [one for one in found.versions if one.request is None and one.asks is not Asks.NOT_OFFERED]
    if blind or all(one.request is None for one in found.versions):
        why = next((one.problem for one in blind or found.versions), None)
        hint = next((one.outcome.advice for one in found.clients if not one.as_expected), None)
        raise VerificationFailed(
            f"{address}: what it asks of clients could not be learned: {why}", hint=hint, code="handshake.unknown"
        )
    unexpected = [one for one in found.clients if not one.as_expected]
    if unexpected:
        raise VerificationFailed(
            f"{address}: {len(unexpected)} of {len(found.clients)} handshakes did not end as expected",
            hint=unexpected[0].outcome.advice,
            code="handshake.unexpected",
        )
    comparisons = [one for answer in found.versions if (one := _comparison(answer, against)) is not None]
    if against is not None and any(one.foreign or one.missing for one in comparisons):
        raise VerificationFailed(
            f"{address}: the names that it advertises are not those of bundle {against.bundle}",
            hint="render the bundle again (pkiops trust render) and reload the server; look for other CAs in its configuration",
            code="handshake.advertised",
        )
