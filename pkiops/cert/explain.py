"""Explain a decision: every rule that judged a request, its value, its verdict and what would pass instead.

What this module decides: that explaining judges exactly as issuing does before its first call, and how the answer reads. It calls nobody and records
nothing; what only the CA or the ledger knows is therefore named as not judged. The rules are ``policy``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pkiops.cert.known_keys import examine_key
from pkiops.cert.prepare import profile_of
from pkiops.environment.models import Environment
from pkiops.errors import PolicyDenied
from pkiops.policy.engine import Decision, Facts, Finding, Intent, Request, decide, not_judged
from pkiops.x509.csr import load_csr
from pkiops.x509.duration import Duration
from pkiops.x509.san import SubjectAltName

_COMPROMISED = "whether the ledger knows the key as compromised"


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """A decision about a request that was read from ``source``; ``not_judged`` says in words what was not known."""

    source: str
    decision: Decision
    not_judged: tuple[str, ...]

    def error(self) -> PolicyDenied | None:
        """What the command ends with; None if the request is allowed. The findings are the result's, so they are only counted here."""
        refusing = list(self.decision.refusals())
        if not refusing:
            return None
        rules = "rule" if len(refusing) == 1 else "rules"
        return PolicyDenied(
            f"{self.source}: refused under profile {self.decision.profile}, {len(refusing)} {rules} broken",
            hint="; ".join(dict.fromkeys(one.suggestion for one in refusing if one.suggestion)) or None,
            code=refusing[0].code if len(refusing) == 1 else None,
        )


def explain(
    environment: Environment,
    profile_name: str,
    csr: bytes,
    source: str,
    *,
    sans: tuple[SubjectAltName, ...] = (),
    validity: Duration | None = None,
    facts: Facts | None = None,
    now: datetime,
) -> Explanation:
    """Judge a request without asking for anything.

    Args:
        environment: whose profile.
        profile_name: the profile.
        csr: the request, PEM or DER.
        source: what to call it in messages.
        sans: names in place of the request's, as ``cert issue --san``.
        validity: None for the profile's default.
        facts: what is known, or supposed, beside the request; its key is examined here.
        now: aware; the validity counts from here.

    Raises:
        InputError: the CSR cannot be read, or there is no such profile.
        PolicyDenied: the request's own signature does not verify: nothing in it can be judged.
    """
    profile = profile_of(environment, profile_name)
    parsed = load_csr(csr, source)
    request = Request(csr=parsed, usage=(), validity=validity, sans=sans or parsed.sans)
    known = replace(facts or Facts(), examination=examine_key(parsed))
    return Explanation(
        source=source,
        decision=decide(profile_name, profile, request, known, now),
        not_judged=(*not_judged(profile, known), _COMPROMISED),
    )


def explanation_text(explanation: Explanation) -> str:
    """For people: the verdict, one block a rule (refusals first), and the certificate that would be asked for."""
    decision = explanation.decision
    verdict = "allowed" if decision.allowed else "refused"
    ordered = sorted(decision.findings, key=lambda one: one.verdict == "pass")
    lines = [f"{explanation.source}: {verdict} under profile {decision.profile}", ""]
    for finding in ordered:
        lines += _finding_lines(finding)
    if decision.intent is not None:
        lines += ["", "the certificate would have", *_intent_lines(decision.intent)]
    lines += ["", "not judged here, because nobody was called", *(f"  {one}" for one in explanation.not_judged)]
    return "\n".join(lines)


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """JSON-ready; findings in the order in which the rules are evaluated."""
    decision = explanation.decision
    intent = decision.intent
    return {
        "source": explanation.source,
        "profile": decision.profile,
        "allowed": decision.allowed,
        "findings": [one.as_dict() for one in decision.findings],
        "certificate": None
        if intent is None
        else {
            "subject": dict(intent.subject),
            "sans": [str(one) for one in intent.sans],
            "usage": [one.value for one in intent.usage],
            "not_before": intent.not_before,
            "not_after": intent.not_after,
        },
        "not_judged": list(explanation.not_judged),
    }


def _finding_lines(finding: Finding) -> list[str]:
    value = f" = {finding.value}" if finding.value else ""
    lines = [f"{finding.verdict:<6}  {finding.rule}{value}  [{finding.code}]", f"        {finding.message}"]
    if finding.suggestion:
        lines.append(f"        would pass: {finding.suggestion}")
    return lines


def _intent_lines(intent: Intent) -> list[str]:
    rows = [
        ("subject", ", ".join(f"{field}={value}" for field, value in intent.subject) or "none"),
        ("names", ", ".join(str(one) for one in intent.sans) or "none"),
        ("usage", ", ".join(one.value for one in intent.usage)),
        ("valid", f"{intent.not_before:%Y-%m-%dT%H:%M:%SZ} to {intent.not_after:%Y-%m-%dT%H:%M:%SZ}"),
    ]
    return [f"  {name:<8} {value}" for name, value in rows]
