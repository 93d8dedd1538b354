"""CRLs, complete and partitioned: when they are due, what is in them, and where they go.

What this module decides: the CRL is written when the first certificate below a CA is issued, after each revocation (at once, or
after the delay of the settings), and again at half of its life; a write that was refused is tried again after 15 minutes, as the
service does. All partitions are written together under one number. CRL number and thisUpdate follow the samples of the user guide:
epoch milliseconds, and an hour ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.sandbox.engine import crl_locations, partitions
from pkiops.sandbox.engine.certificates import key_identifier
from pkiops.sandbox.engine.state import Authority, BucketAccess, BucketRefused, Context, CrlState, Region, Status

CONTENT_TYPE = "application/pkix-crl"
_BACKDATE = timedelta(hours=1)
# RevocationReason -> RFC 5280 5.3.1; an entry without a reason is what UNSPECIFIED means
REASONS: dict[str, x509.ReasonFlags | None] = {
    "UNSPECIFIED": None,
    "KEY_COMPROMISE": x509.ReasonFlags.key_compromise,
    "CERTIFICATE_AUTHORITY_COMPROMISE": x509.ReasonFlags.ca_compromise,
    "AFFILIATION_CHANGED": x509.ReasonFlags.affiliation_changed,
    "SUPERSEDED": x509.ReasonFlags.superseded,
    "CESSATION_OF_OPERATION": x509.ReasonFlags.cessation_of_operation,
    "PRIVILEGE_WITHDRAWN": x509.ReasonFlags.privilege_withdrawn,
    "A_A_COMPROMISE": x509.ReasonFlags.aa_compromise,
}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One CRL to write. ``scope``: the URI of its issuingDistributionPoint; None leaves the extension out."""

    key: str
    scope: str | None
    entries: tuple[x509.RevokedCertificate, ...]


def distribution_point(authority: Authority, region: Region, partition_url: str | None) -> str | None:
    """The URL written into certificates, or None where the CA writes none."""
    configuration = authority.crl_configuration
    omitted = (configuration.get("CrlDistributionPointExtensionConfiguration") or {}).get("OmitExtension")
    if not configuration["Enabled"] or omitted:
        return None
    return partition_url or crl_locations.url(authority, region)


def publish_first(context: Context, region: Region, authority: Authority, *, is_new_partition: bool) -> None:
    """Write the first CRL of a CA, or of a partition just opened; otherwise do nothing."""
    if authority.crl_configuration["Enabled"] and (authority.crl is None or is_new_partition):
        publish(context, region, authority)


def publish_revocation(context: Context, region: Region, authority: Authority) -> None:
    """A certificate was revoked: write the CRL, now or after the delay of the settings."""
    if not authority.crl_configuration["Enabled"]:
        return
    if not context.settings.crl_delay:
        publish(context, region, authority)
    elif authority.crl_due_at is None:
        authority.crl_due_at = context.clock.now() + context.settings.crl_delay


def publish_if_due(context: Context, region: Region, authority: Authority) -> None:
    """Write what time has made due: half of the CRL's life has passed, a revocation waits, or the last write was refused."""
    now = context.clock.now()
    if not authority.crl_configuration["Enabled"]:
        return
    if authority.visible_status(now) not in {Status.ACTIVE, Status.DISABLED}:
        return  # an expired CA stops its CRL
    due = [authority.crl_due_at] if authority.crl_due_at is not None else []
    state = authority.crl
    if state is not None:
        half_life = state.generated_at + (state.next_update - state.generated_at) / 2
        due.append(half_life if state.failed_at is None else state.failed_at + context.settings.crl_retry)
    if due and now >= min(due):
        publish(context, region, authority)


def publish(context: Context, region: Region, authority: Authority) -> None:
    """Make the next CRL and write it into the bucket; a refusal is remembered, not raised."""
    now = context.clock.now()
    previous = authority.crl
    # whole seconds: two CRLs of one second still need rising numbers, and so does a clock that went back
    number = max(int(now.timestamp()) * 1000, previous.number + 1 if previous else 0)
    next_update = now + timedelta(days=authority.crl_configuration["ExpirationInDays"])
    sheets = list(_sheets(authority, region))
    authority.crl = CrlState(number, now, next_update)
    authority.crl_due_at = None
    try:
        for sheet in sheets:
            data = _encoded(authority, sheet, number, now, next_update)
            context.buckets.put(bucket_access(authority, region), sheet.key, data, CONTENT_TYPE)
    except BucketRefused:
        authority.crl.failed_at = now
        if previous is not None:
            authority.crl.generated_at = previous.generated_at


def bucket_access(authority: Authority, region: Region) -> BucketAccess:
    """What the service needs of the bucket for this CA."""
    configuration = authority.crl_configuration
    return BucketAccess(
        bucket=configuration["S3BucketName"],
        authority_arn=authority.arn,
        account=region.account,
        public=configuration["S3ObjectAcl"] == "PUBLIC_READ",
    )


def _sheets(authority: Authority, region: Region) -> Iterator[_Sheet]:
    """The complete CRL, or what is left of it beside partitions, and every partition there ever was."""
    revoked: dict[str | None, list[x509.RevokedCertificate]] = {}
    for partition_name, entry in _entries(authority):
        revoked.setdefault(partition_name, []).append(entry)
    if not partitions.is_partitioned(authority):
        everything = tuple(entry for entries in revoked.values() for entry in entries)
        yield _Sheet(crl_locations.object_key(authority), None, everything)
    elif any(issued.partition is None and issued.chain for issued in authority.issued.values()):
        # certificates from before the switch point here; beside partitions this CRL has a scope too
        own = tuple(revoked.get(None, ()))
        yield _Sheet(crl_locations.object_key(authority), crl_locations.url(authority, region), own)
    for partition in authority.partitions:
        entries = tuple(revoked.get(partition.name, ()))
        yield _Sheet(crl_locations.key_of_url(partition.url), partition.url, entries)


def _entries(authority: Authority) -> Iterable[tuple[str | None, x509.RevokedCertificate]]:
    listed_since = authority.crl.generated_at if authority.crl else None
    for serial in authority.revoked:
        issued = authority.issued.get(serial)
        if issued is None or issued.revoked_at is None:
            continue
        # an expired certificate is in one more CRL, then in none (RFC 5280 3.3)
        if listed_since is not None and issued.certificate.not_valid_after_utc <= listed_since:
            continue
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(issued.revoked_at)
        reason = REASONS[issued.reason or "UNSPECIFIED"]
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        yield issued.partition, entry.build()


def _encoded(authority: Authority, sheet: _Sheet, number: int, now: datetime, next_update: datetime) -> bytes:
    assert authority.certificate is not None  # noqa: S101 - who has issued has a certificate
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - _BACKDATE)
        .next_update(next_update)
        .add_extension(
            x509.AuthorityKeyIdentifier(key_identifier(authority.certificate), None, None),
            critical=False,
        )
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    if sheet.scope is not None:
        name = x509.UniformResourceIdentifier(sheet.scope)
        scope = x509.IssuingDistributionPoint([name], None, False, False, None, False, False)
        builder = builder.add_extension(scope, critical=True)
    for entry in sheet.entries:
        builder = builder.add_revoked_certificate(entry)
    return authority.signer().crl(builder).public_bytes(Encoding.DER)
