"""The issuance policy: may this request become a certificate under this profile, and which one?

What this module decides: steps 3 to 6 of issuance. All rules are evaluated, so that whoever is refused learns everything at once; only when none
refuses is there an intended certificate. Parsing and proof of possession come before (``pkiops.x509.csr``), templates and the CA after.
"""

from __future__ import annotations

from datetime import datetime

from pkiops.policy.findings import Decision, Facts, Finding, Intent, Request, refusal, refuse
from pkiops.policy.name_rules import approved_sans, judge_sans, judge_subject
from pkiops.policy.request_rules import (
    CLOCK_SKEW,
    judge_extensions,
    judge_key,
    judge_usage,
    judge_validity,
    validity_of,
)
from pkiops.policy.rules import FromRequest, Profile
from pkiops.x509.keys import spki_der
from pkiops.x509.names import SUBJECT_FIELDS

__all__ = ["Decision", "Facts", "Finding", "Intent", "Request", "decide", "refusal"]


def decide(profile_name: str, profile: Profile, request: Request, facts: Facts, now: datetime) -> Decision:
    """Judge ``request`` under ``profile``.

    Args:
        profile_name: the profile's name, for the messages.
        profile: the rules; what they do not allow is refused.
        request: what is asked for; its CSR has been parsed and its self-signature verified.
        facts: what is known about the issuing CA.
        now: aware; the validity counts from here, and begins ``CLOCK_SKEW`` earlier.
    """
    common_name, subject_findings = judge_subject(profile, request)
    subject = _subject(profile, common_name)
    findings: list[Finding] = [
        *judge_key(profile, request.csr),
        *judge_sans(profile, request),
        *subject_findings,
        *judge_usage(profile, request),
        *judge_validity(profile, request, facts, now),
        *judge_extensions(request.csr),
    ]
    if not subject and not request.sans and not profile.san.required:
        # RFC 5280 section 4.1.2.6: a certificate names its holder in the subject or in the alternative names.
        message = "the certificate would name nobody: no subject and no alternative name"
        findings.append(refuse("no-name", "subject", "", message, "ask for a name, or give the profile a subject"))
    allowed = all(finding.verdict == "pass" for finding in findings)
    intent = None
    if allowed:
        intent = Intent(
            subject=subject,
            sans=approved_sans(profile, request),
            usage=tuple(usage for usage in profile.usage if usage in (request.usage or profile.usage)),
            not_before=now - CLOCK_SKEW,
            not_after=validity_of(profile, request).after(now),
            public_key_spki=spki_der(request.csr.public_key),
        )
    return Decision(allowed=allowed, findings=tuple(findings), intent=intent, profile=profile_name)


def _subject(profile: Profile, common_name: str | None) -> tuple[tuple[str, str], ...]:
    values: dict[str, str | None] = {}
    for field in SUBJECT_FIELDS:
        value = getattr(profile.subject, field)
        values[field] = common_name if isinstance(value, FromRequest) or field == "common_name" else value
    return tuple((field, value) for field, value in values.items() if value)
