"""What goes into a decision and what comes out of it, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pkiops.errors import PolicyDenied
from pkiops.policy.rules import Usage
from pkiops.x509.csr import CertificationRequest
from pkiops.x509.duration import Duration
from pkiops.x509.san import SubjectAltName


@dataclass(frozen=True)
class Request:
    """What is asked for.

    ``usage`` empty and ``validity`` None stand for the profile's own; ``sans`` are the names asked for: the CSR's, or others given by whoever asks,
    which must all be approved as well.
    """

    csr: CertificationRequest
    usage: tuple[Usage, ...]
    validity: Duration | None
    sans: tuple[SubjectAltName, ...]


@dataclass(frozen=True)
class KeyExamination:
    """What a program that knows bad keys says about a key: its name and version (None: it is not installed), and what is wrong.

    ``leaked_keys`` says whether its list of keys that are known to have leaked was there.
    """

    program: str | None
    weakness: str | None = None
    leaked_keys: bool = False


@dataclass(frozen=True)
class LivingCertificate:
    """A certificate that has neither ended nor been revoked; ``names`` are all of its names, in lower case; moments are aware UTC."""

    serial: str
    names: frozenset[str]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class LedgerFacts:
    """What the ledger knows that bears on one more certificate.

    ``names_of_key`` are all names, in lower case, of certificates that exist or may exist for the same key; ``asked_at`` tells for each name that the
    certificate would have when (aware UTC) certificates of the profile for it were asked for, as far back as the profile's window;
    ``living`` are those of the profile that share a name with it; ``others_in_run`` counts what else this run has let through.
    """

    names_of_key: frozenset[str] = frozenset()
    asked_at: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    living: tuple[LivingCertificate, ...] = ()
    others_in_run: int = 0


@dataclass(frozen=True)
class Facts:
    """What is known beside the request; what is None is not known, and the rules that need it are not judged.

    ``issuer_not_after`` is when the certificate of the issuing CA ends (aware UTC). ``requesters`` are the identities of who asks: the ARN of the
    AWS caller, the CI job. ``ledger`` stays None where nothing new would be issued. ``examination`` is of RSA keys only.
    """

    issuer_not_after: datetime | None = None
    requesters: tuple[str, ...] | None = None
    ledger: LedgerFacts | None = None
    examination: KeyExamination | None = None


class Finding(NamedTuple):
    """What one rule says about one value (a tuple: a request may have hundreds of them).

    ``code`` is stable (``policy.san-dns-not-allowed``); ``rule`` is the key of the profile; ``suggestion`` is the nearest change that would pass.
    """

    code: str
    verdict: Literal["pass", "refuse"]
    rule: str
    value: str
    message: str
    suggestion: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "code": self.code,
            "verdict": self.verdict,
            "rule": self.rule,
            "value": self.value,
            "message": self.message,
            "suggestion": self.suggestion,
        }


@dataclass(frozen=True)
class Intent:
    """The certificate to be issued: the request contributes its public key and approved names only.

    ``subject`` is (field of ``SUBJECT_FIELDS``, value) in that order; moments are aware UTC.
    """

    subject: tuple[tuple[str, str], ...]
    sans: tuple[SubjectAltName, ...]
    usage: tuple[Usage, ...]
    not_before: datetime
    not_after: datetime
    public_key_spki: bytes


@dataclass(frozen=True)
class Decision:
    """Every finding, and the intended certificate if none of them refuses."""

    allowed: bool
    findings: tuple[Finding, ...]
    intent: Intent | None
    profile: str = ""

    def refusals(self) -> Iterator[Finding]:
        """The findings that refuse."""
        return (finding for finding in self.findings if finding.verdict == "refuse")


def passed(code: str, rule: str, value: str, message: str) -> Finding:
    """A finding that lets the request through: granted, or ignored without harm."""
    return Finding(f"policy.{code}", "pass", rule, value, message)


def refuse(code: str, rule: str, value: str, message: str, suggestion: str | None = None) -> Finding:
    """A finding that refuses the request."""
    return Finding(f"policy.{code}", "refuse", rule, value, message, suggestion)


def refusal(decision: Decision, source: str) -> PolicyDenied:
    """The error for a decision that refuses: its message lists every refusing finding, its details hold all.

    The code is the finding's where there is only one, else ``policy.denied``.
    """
    refusing = list(decision.refusals())
    lines = [
        f"{source}: refused under profile {decision.profile}, {len(refusing)} "
        f"{'rule' if len(refusing) == 1 else 'rules'} broken",
        *(f"  {finding.message}" for finding in refusing),
    ]
    suggestions = list(dict.fromkeys(finding.suggestion for finding in refusing if finding.suggestion))
    return PolicyDenied(
        "\n".join(lines),
        hint="; ".join(suggestions) or None,
        code=refusing[0].code if len(refusing) == 1 else None,
        details={"profile": decision.profile, "findings": [finding.as_dict() for finding in decision.findings]},
    )
