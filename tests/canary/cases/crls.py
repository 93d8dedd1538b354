"""Where CRLs are, what is in them, and when."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from cryptography import x509

from tests.canary.case import ACCEPTED, Case, Observation, Phase
from tests.canary.cases.crl_settings import crl_on
from tests.canary.certificates import csr, extensions_of, load, urls_of
from tests.canary.patience import Unsettled
from tests.canary.workspace import Workspace

_MINUTES = 45  # the service speaks of 30, and repeats a failed write after 15
_LATE: Observation = f"not within {_MINUTES} minutes"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = "milliseconds since 1970 of its generation"


def _words(workspace: Workspace, url: str) -> str:
    """A URL without what is different in every run."""
    words = {
        workspace.buckets.name("open"): "BUCKET",
        workspace.arn.rpartition("/")[2]: "CA-ID",
        workspace.place.region: "REGION",
    }
    for word, instead in words.items():
        url = url.replace(word, instead)
    return _UUID.sub("GUID", url)


def _key(workspace: Workspace) -> str:
    return f"crl/{workspace.arn.rpartition('/')[2]}.crl"


def _appears(workspace: Workspace, key: str) -> bool:
    return workspace.came(lambda: key in workspace.buckets.keys("open"), _MINUTES * 60)


def _read(workspace: Workspace, key: str) -> tuple[x509.CertificateRevocationList, datetime]:
    """A CRL, and when it was written.

    Raises:
        Unsettled: it is not DER.
    """
    stored = workspace.buckets.read("open", key)
    try:
        return x509.load_der_x509_crl(stored["Body"]), stored["LastModified"]
    except ValueError as error:
        raise Unsettled("the CRL is not in DER") from error


def _number(crl: x509.CertificateRevocationList, written: datetime) -> str:
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return _NUMBER if abs(number / 1000 - written.timestamp()) < 300 else "another number"


def _point(workspace: Workspace) -> Observation:
    with crl_on(workspace):
        found = load(workspace.issue(csr()))
    urls: list[Observation] = [_words(workspace, url) for url in urls_of(found)]
    return urls


def _contents(workspace: Workspace) -> Observation:
    with crl_on(workspace):
        workspace.issue(csr())
        if not _appears(workspace, _key(workspace)):
            return _LATE
        crl, written = _read(workspace, _key(workspace))
    next_update = crl.next_update_utc
    return {
        "number": _number(crl, written),
        "thisUpdate": f"{round((written - crl.last_update_utc).total_seconds() / 300) * 5} minutes before generation",
        "nextUpdate": "none"
        if next_update is None
        else f"{round((next_update - written).total_seconds() / 3600)} hours after generation",
        "extensions": extensions_of(crl),
    }


def _revoked(workspace: Workspace) -> Observation:
    with crl_on(workspace):
        serial = load(workspace.issue(csr())).serial_number
        request = {"CertificateSerial": f"{serial:x}", "RevocationReason": "KEY_COMPROMISE"}
        found = workspace.ask("revoke_certificate", **request)
        if found != ACCEPTED:
            return found
        entries: list[x509.RevokedCertificate] = []

        def listed() -> bool:
            if _key(workspace) not in workspace.buckets.keys("open"):
                return False
            entry = _read(workspace, _key(workspace))[0].get_revoked_certificate_by_serial_number(serial)
            entries.extend([entry] if entry else [])
            return entry is not None

        if not workspace.came(listed, _MINUTES * 60):
            return _LATE
    return {"listed": f"within {_MINUTES} minutes", "entry": extensions_of(entries[0])}


def _partitioned(workspace: Workspace) -> Observation:
    more: dict[str, Any] = {"CrlType": "PARTITIONED"}
    with crl_on(workspace, **more):
        urls = urls_of(load(workspace.issue(csr())))
        if len(urls) != 1:
            return {"distribution points": len(urls)}
        key = "crl/" + urls[0].rpartition("/")[2]
        if not _appears(workspace, key):
            return _LATE
        crl, written = _read(workspace, key)
    return {
        "distribution point": _words(workspace, urls[0]),
        "number": _number(crl, written),
        "scope": _scope(crl, urls[0]),
        "extensions": extensions_of(crl),
    }


def _scope(crl: x509.CertificateRevocationList, url: str) -> str:
    try:
        found = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    except x509.ExtensionNotFound:
        return "none"
    names = [name.value for name in found.value.full_name or ()]
    return "the certificate's distribution point" if names == [url] else "something else"


CASES: tuple[Case, ...] = (
    Case(
        name="crl-distribution-point",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether the distribution point names the bucket as a host or in the path.",
        source="user guide shows both",
        section="3.2",
        expected=["http://BUCKET.s3.REGION.amazonaws.com/crl/CA-ID.crl"],
        observe=_point,
        certificates=1,
    ),
    Case(
        name="crl-contents",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="Number, moments and extensions of a complete CRL, and that it is there within 45 minutes of the first certificate.",
        source="two samples of the user guide",
        section="3.2",
        expected={
            "number": _NUMBER,
            "thisUpdate": "60 minutes before generation",
            "nextUpdate": "168 hours after generation",
            "extensions": {"authorityKeyIdentifier": "not critical", "cRLNumber": "not critical"},
        },
        observe=_contents,
        certificates=1,
        wait_seconds=_MINUTES * 60,
    ),
    Case(
        name="crl-after-revocation",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="That a revocation is in the CRL within 45 minutes, and how its entry spells the reason.",
        source="service model: about 30 minutes, 15 more after a failed write",
        section="3.2",
        expected={
            "listed": f"within {_MINUTES} minutes",
            "entry": {"cRLReason": "not critical, keyCompromise"},
        },
        observe=_revoked,
        certificates=1,
        wait_seconds=_MINUTES * 60,
    ),
    Case(
        name="crl-partitioned",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="Where a partitioned CRL is, and the scope, number and extensions of a partition.",
        source="service model: a critical issuingDistributionPoint; silent on the number",
        section="3.3",
        expected={
            "distribution point": "http://BUCKET.s3.REGION.amazonaws.com/crl/GUID.crl",
            "number": _NUMBER,
            "scope": "the certificate's distribution point",
            "extensions": {
                "authorityKeyIdentifier": "not critical",
                "cRLNumber": "not critical",
                "issuingDistributionPoint": "critical",
            },
        },
        observe=_partitioned,
        certificates=1,
        wait_seconds=_MINUTES * 60,
    ),
)
