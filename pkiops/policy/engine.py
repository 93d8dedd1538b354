"""The issuance policy: may this request become a certificate under this profile, and which one?

What this module decides: steps 3 to 6 of issuance. All rules are evaluated, so that whoever is refused learns everything at once; only when none
refuses is there an intended certificate. Parsing and proof of possession come before (``pkiops.x509.csr``), templates and the CA after. What rules
need to know beside the request is given as facts; a rule whose facts are not known yet is not judged, and ``not_judged`` names it.
"""

from __future__ import annotations

from datetime import datetime

from pkiops.policy.findings import Decision, Facts, Finding, Intent, Request, refusal, refuse
from pkiops.policy.history_rules import judge_history, needs_ledger
from pkiops.policy.name_rules import judge_sans
from pkiops.policy.request_rules import (
    CLOCK_SKEW,
    judge_extensions,
    judge_key,
    judge_requesters,
    judge_usage,
    judge_validity,
    validity_of,
)
from pkiops.policy.rules import Profile
from pkiops.policy.subject_rules import judge_subject
from pkiops.x509.keys import spki_der
from pkiops.x509.san import SubjectAltName

__all__ = ["Decision", "Facts", "Finding", "Intent", "Request", "decide", "needs_ledger", "not_judged", "refusal"]


def decide(profile_name: str, profile: Profile, request: Request, facts: Facts, now: datetime) -> Decision:
    """Judge ``request`` under ``profile``.

    Args:
        profile_name: the profile's name, for the messages.
        profile: the rules; what they do not allow is refused.
        request: what is asked for; its CSR has been parsed and its self-signature verified.
        facts: what is known beside the request.
        now: aware; the validity counts from here, and begins ``CLOCK_SKEW`` earlier.
    """
    names = judge_sans(profile, request)
    judged = judge_subject(profile_name, profile, request, names.approved)
    findings: list[Finding] = [
        *judge_key(profile, request.csr, facts.examination),
        *names.findings,
        *judged.findings,
        *judge_usage(profile, request),
        *judge_validity(profile, request, facts, now),
        *judge_extensions(request.csr),
        *judge_requesters(profile, facts.requesters),
    ]
    if facts.ledger is not None:
        findings += judge_history(profile, facts.ledger, names_of(judged.subject, names.approved), now)
    is_unnamed = not judged.subject and not request.sans and not profile.san.required
    if is_unnamed and all(finding.verdict == "pass" for finding in judged.findings):
        # RFC 5280 section 4.1.2.6: a certificate names its holder in the subject or in the alternative names.
        message = "the certificate would name nobody: no subject and no alternative name"
        findings.append(refuse("no-name", "subject", "", message, "ask for a name, or give the profile a subject"))
    allowed = all(finding.verdict == "pass" for finding in findings)
    intent = None
    if allowed:
        intent = Intent(
            subject=judged.subject,
            sans=names.approved,
            usage=tuple(usage for usage in profile.usage if usage in (request.usage or profile.usage)),
            not_before=now - CLOCK_SKEW,
            not_after=validity_of(profile, request).after(now),
            public_key_spki=spki_der(request.csr.public_key),
        )
    return Decision(allowed=allowed, findings=tuple(findings), intent=intent, profile=profile_name)


def names_of(subject: tuple[tuple[str, str], ...], sans: tuple[SubjectAltName, ...]) -> frozenset[str]:
    """The names of a certificate as the ledger finds it by them: its common name and alternative names, in lower case."""
    common_names = [value for field, value in subject if field == "common_name"]
    return frozenset(name.lower() for name in (*common_names, *(san.value for san in sans)))


def not_judged(profile: Profile, facts: Facts) -> tuple[str, ...]:
    """What of a profile was not judged, because it is not known, in words."""
    missing: list[str] = []
    if facts.issuer_not_after is None:
        missing.append("whether the certificate would outlive the issuing CA")
    if facts.requesters is None and profile.requesters:
        missing.append("whether the caller is one of requesters")
    if facts.ledger is None:
        if profile.key_reuse == "refuse":
            missing.append("whether the ledger knows the key under other names (key_reuse)")
        if profile.limits.per_name is not None:
            missing.append("how many certificates the ledger knows for these names (limits.per_name)")
        if profile.limits.per_run is not None:
            missing.append("how many certificates the run asks for (limits.per_run)")
        if profile.renewal_window is not None:
            missing.append("whether another certificate for these names has long to live (renewal_window)")
    return tuple(missing)
