"""A preview as people and programs read it.

What this module decides: that what is made up in a preview (serial, signature, fingerprint, PEM) is left out, so that nobody takes it for a
certificate.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pkiops.cert.lint import Linted, finding_json
from pkiops.cert.preview import Cost, Preview
from pkiops.cert.reuse import Step
from pkiops.cert.show import certificate_json, fields_text

_NAMES = {
    ExtensionOID.BASIC_CONSTRAINTS: "basicConstraints",
    ExtensionOID.KEY_USAGE: "keyUsage",
    ExtensionOID.EXTENDED_KEY_USAGE: "extKeyUsage",
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: "subjectAltName",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "subjectKeyIdentifier",
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier",
    ExtensionOID.CRL_DISTRIBUTION_POINTS: "cRLDistributionPoints",
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: "authorityInfoAccess",
}
_NEXT = {
    Step.NEW_ATTEMPT: "a certificate would be asked for",
    Step.GIVE_UP_AND_NEW_ATTEMPT: "the open request would be given up, and a certificate asked for",
    Step.ASK_AGAIN: "the open request would be asked for again",
    Step.FETCH: "the certificate that was asked for would be fetched",
    Step.PROVE_AGAIN: "the certificate of the ledger would be proven again",
    Step.SERVE: "the certificate of the ledger would be handed out",
}
_MADE_UP = frozenset({"serial", "sha256", "pem"})


def preview_json(preview: Preview) -> dict[str, Any]:
    """Everything that is known before, JSON-ready. ``next`` is how the request would go on."""
    record = preview.prepared.record
    error = preview.error()
    return {
        "preview": True,
        "next": preview.step.value,
        "profile": record.profile,
        "authority": record.authority,
        "authority_reference": record.authority_reference,
        "template": preview.template,
        "certificate": _certificate(preview),
        "extensions": [_extension(one) for one in preview.certificate.extensions],
        "not_known": list(preview.unknown),
        "would_be_accepted": error is None,
        "differences": [
            {"field": one.field, "expected": one.expected, "actual": one.actual} for one in preview.differences
        ],
        "path": preview.refused.message if preview.refused else None,
        "lint": None if preview.linted is None else _linted(preview.linted),
        "cost": None if preview.cost is None else _cost(preview.cost),
    }


def preview_text(preview: Preview) -> str:
    """The same in words."""
    record = preview.prepared.record
    what = "certificate of the ledger, as it is" if preview.is_real else "PREVIEW, not a certificate: nothing was sent"
    lines = [
        fields_text(what, {**_certificate(preview), "template": preview.template, "issued_by": record.authority}),
        "",
        "extensions",
        *(
            f"  {one['name']:<26}{'critical, ' if one['critical'] else ''}{one['der']}"
            for one in (_extension(each) for each in preview.certificate.extensions)
        ),
        "",
        "checks",
        f"  {'as asked for':<26}{'yes' if not preview.differences else '; '.join(map(str, preview.differences))}",
        f"  {'path to the root':<26}{preview.refused.message if preview.refused else 'good'}",
        f"  {'lint':<26}{_lint_words(preview.linted)}",
        f"  {'next':<26}{_NEXT[preview.step]}",
    ]
    if preview.cost is not None:
        lines += [f"  {'cost':<26}{_cost_words(preview.cost)}"]
    if preview.unknown:
        lines += ["", "not known before", *(f"  {one}" for one in preview.unknown)]
    return "\n".join(lines)


def _certificate(preview: Preview) -> dict[str, Any]:
    shown = certificate_json(preview.certificate)
    return shown if preview.is_real else {name: value for name, value in shown.items() if name not in _MADE_UP}


def _extension(one: x509.Extension[x509.ExtensionType]) -> dict[str, Any]:
    return {
        "oid": one.oid.dotted_string,
        "name": _NAMES.get(one.oid, one.oid.dotted_string),
        "critical": one.critical,
        "der": one.value.public_bytes().hex(),
    }


def _linted(linted: Linted) -> dict[str, Any]:
    return {
        "refusing": [finding_json(one) for one in linted.refusing],
        "known": [{**finding_json(one), "source": fact.source} for one, fact in linted.known],
        "below": [finding_json(one) for one in linted.below],
    }


def _lint_words(linted: Linted | None) -> str:
    if linted is None:
        return "not linted: pip install 'pkiops[lint]'"
    words = [str(one) for one in linted.refusing]
    words += [str(one) for one in linted.below if one.severity.value in {"fatal", "error", "warning"}]
    known = [f"{one.code}, which the service's own templates lead to ({fact.source})" for one, fact in linted.known]
    return "; ".join(words or ["good"]) + "".join(f"; known: {one}" for one in known)


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "usd_at_most": cost.usd_at_most,
        "note": cost.note,
        "source": cost.source,
        "checked": cost.checked,
        "verified": cost.verified,
    }


def _cost_words(cost: Cost) -> str:
    doubt = "" if cost.verified else "; a figure of memory: compare it there"
    return f"at most {cost.usd_at_most:g} USD: {cost.note} ({cost.source}, {cost.checked}{doubt})"
