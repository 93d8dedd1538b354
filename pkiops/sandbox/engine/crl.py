"""Complete CRLs: when one is due, what is in it, and where it goes.

What this module decides: the CRL is written when the first certificate below a CA is issued, at once after each revocation
(the service takes up to half an hour), and again at half of its life; a write that was refused is tried again after 15
minutes, as the service does. CRL number and thisUpdate follow the samples of the user guide: epoch milliseconds, and an hour ago.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.sandbox.engine.certificates import key_identifier
from pkiops.sandbox.engine.state import Authority, BucketAccess, BucketRefused, Context, CrlState, Region, Status

CONTENT_TYPE = "application/pkix-crl"
_BACKDATE = timedelta(hours=1)
_RETRY = timedelta(minutes=15)
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


def object_key(authority: Authority) -> str:
    """The key of the CRL object, which is also its path in the URL."""
    folder = str(authority.crl_configuration.get("CustomPath") or "crl").strip("/")
    return f"{folder}/{authority.identifier}.crl".lstrip("/")


def hosts(authority: Authority, region: Region) -> tuple[str, ...]:
    """The host names under which this CA's CRL is asked for: the custom one, if any, and the bucket's; lower case."""
    configuration = authority.crl_configuration
    if not configuration["Enabled"]:
        return ()
    bucket_host = f"{configuration['S3BucketName']}.s3.{region.name}.{_domain(region)}"
    custom = configuration.get("CustomCname")
    return tuple(host.lower() for host in (custom, bucket_host) if host)


def distribution_point(authority: Authority, region: Region) -> str | None:
    """The URL written into certificates, or None where the CA writes none."""
    configuration = authority.crl_configuration
    omitted = (configuration.get("CrlDistributionPointExtensionConfiguration") or {}).get("OmitExtension")
    if not configuration["Enabled"] or omitted:
        return None
    host = configuration.get("CustomCname") or f"{configuration['S3BucketName']}.s3.{region.name}.{_domain(region)}"
    return f"http://{host}/{object_key(authority)}"


def publish_first(context: Context, region: Region, authority: Authority) -> None:
    """Write the first CRL of a CA that has one configured; later calls do nothing."""
    if authority.crl is None and authority.crl_configuration["Enabled"]:
        publish(context, region, authority)


def publish_if_due(context: Context, region: Region, authority: Authority) -> None:
    """Write the CRL again when half of its life has passed, or when the last write was refused."""
    state, now = authority.crl, context.clock.now()
    if state is None or not authority.crl_configuration["Enabled"]:
        return
    if authority.visible_status(now) not in {Status.ACTIVE, Status.DISABLED}:
        return  # an expired CA stops its CRL
    half_life = state.generated_at + (state.next_update - state.generated_at) / 2
    due = half_life if state.failed_at is None else state.failed_at + _RETRY
    if now >= due:
        publish(context, region, authority)


def publish(context: Context, region: Region, authority: Authority) -> None:
    """Make the next CRL and write it into the bucket; a refusal is remembered, not raised."""
    now = context.clock.now()
    previous = authority.crl
    # whole seconds: two CRLs of one second still need rising numbers
    number = max(int(now.timestamp()) * 1000, previous.number + 1 if previous else 0)
    next_update = now + timedelta(days=authority.crl_configuration["ExpirationInDays"])
    data = _encoded(authority, number, now, next_update)
    authority.crl = CrlState(number, now, next_update)
    try:
        context.buckets.put(bucket_access(authority, region), object_key(authority), data, CONTENT_TYPE)
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


def _encoded(authority: Authority, number: int, now: datetime, next_update: datetime) -> bytes:
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
    listed_since = authority.crl.generated_at if authority.crl else None
    for serial, issued in authority.issued.items():
        if issued.revoked_at is None:
            continue
        # an expired certificate is in one more CRL, then in none (RFC 5280 3.3)
        if listed_since is not None and issued.certificate.not_valid_after_utc <= listed_since:
            continue
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(issued.revoked_at)
        reason = REASONS[issued.reason or "UNSPECIFIED"]
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return authority.signer().crl(builder).public_bytes(Encoding.DER)


def _domain(region: Region) -> str:
    return "amazonaws.com.cn" if region.partition == "aws-cn" else "amazonaws.com"
