"""IssueCertificate and GetCertificate.

What this module decides: the order of the checks, whose subject goes in, how serial and ARN are made, and that an answer takes a moment. What
an extension holds is ``extensions``'s decision, how long a certificate lives ``validity``'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from pkiops.sandbox.engine import crl, name_constraints, ocsp, partitions, templates
from pkiops.sandbox.engine.certificates import Request, key_identifier, pem, pem_chain, read_csr
from pkiops.sandbox.engine.errors import ServiceError, in_progress, invalid_args, limit_exceeded, not_found, validation
from pkiops.sandbox.engine.extensions import Sources, assemble
from pkiops.sandbox.engine.state import (
    Authority,
    Context,
    FailedIssuance,
    Issued,
    Partition,
    Region,
    find_authority,
    require_state,
)
from pkiops.sandbox.engine.subjects import name
from pkiops.sandbox.engine.templates import Template
from pkiops.sandbox.engine.validity import Lifetime, lifetime

_CERTIFICATE_ARN = re.compile(
    r"(arn:[a-z-]+:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority/[^/]+)/certificate/([0-9a-f]{32})"
)


@dataclass(frozen=True, slots=True)
class _Urls:
    """What the CA's configuration writes into a certificate; None where it writes nothing."""

    crl: str | None
    ocsp: str | None


def issue_certificate(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """IssueCertificate."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    token = request.get("IdempotencyToken")
    token_key = ("IssueCertificate", authority.arn, token or "")
    if token and (known := region.tokens.answer(token_key, now)):
        return {"CertificateArn": known}
    template = templates.find(request.get("TemplateArn"), region.partition)
    require_state(authority, "IssueCertificate for a root itself" if template.root else "IssueCertificate", now)
    _require_quota(context, authority)
    signer = authority.signer(request["SigningAlgorithm"])
    csr = read_csr(request["Csr"])
    _require_fit(authority, template, csr)
    issuer = None if template.root else authority.certificate
    period = lifetime(
        request["Validity"],
        request.get("ValidityNotBefore"),
        now,
        issuer_not_after=issuer.not_valid_after_utc if issuer else None,
        short_lived=authority.short_lived,
    )
    partition = None if template.root else partitions.partition_for_next(context, region, authority)
    urls = _Urls(
        crl.distribution_point(authority, region, partition.url if partition else None),
        ocsp.responder_url(authority, region),
    )
    builder = _builder(authority, template, csr, request.get("ApiPassthrough") or {}, period, urls)
    serial = _new_serial(context, authority)
    try:
        certificate = signer.certificate(builder.serial_number(serial))
    except ValueError as error:
        raise invalid_args(f"The certificate cannot be encoded: {error}") from error
    if issuer is not None:
        name_constraints.require_allowed(certificate, (issuer, *authority.chain))
    arn = f"{authority.arn}/certificate/{serial:032x}"
    if token:
        region.tokens.remember(token_key, arn, now)
    chain = (issuer, *authority.chain) if issuer else ()
    issued = Issued(arn, certificate, chain, now, template.name, context.pace.issuing(now), requester=context.caller)
    _accept(context, region, authority, issued, partition)
    return {"CertificateArn": arn}


def _require_quota(context: Context, authority: Authority) -> None:
    """Every certificate a CA ever issued counts, revoked and expired ones too."""
    settings = context.settings
    limit = settings.certificates_per_authority
    if partitions.is_partitioned(authority):
        limit = settings.certificates_per_partitioned_authority
    if len(authority.issued) >= limit:
        raise limit_exceeded(limit, "certificates of a certificate authority")


def _accept(
    context: Context, region: Region, authority: Authority, issued: Issued, partition: Partition | None
) -> None:
    """Keep what was issued, unless this is one of those that fail later."""
    region.issuances += 1
    if region.issuances in context.settings.late_failures:
        authority.failed[issued.certificate.serial_number] = FailedIssuance(issued.arn, issued.readiness)
        return
    authority.issued[issued.certificate.serial_number] = issued
    is_new_partition = False
    if partition is not None:
        issued.partition = partition.name
        is_new_partition = partitions.add_certificate(authority, partition)
    if issued.chain:
        crl.publish_first(context, region, authority, is_new_partition=is_new_partition)


def get_certificate(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """GetCertificate."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    match = _CERTIFICATE_ARN.fullmatch(request["CertificateArn"])
    if match is None:
        raise ServiceError("InvalidArnException", f"{request['CertificateArn']} is not the ARN of a certificate")
    require_state(authority, "GetCertificate", now)
    serial = int(match[2], 16) if match[1] == authority.arn else 0
    failed = authority.failed.get(serial)
    if failed is not None and failed.readiness.poll(now):
        raise ServiceError("RequestFailedException", f"The request for certificate {failed.arn} has failed")
    if failed is not None:
        raise in_progress(f"The request for certificate {failed.arn} is in progress")
    issued = authority.issued.get(serial)
    if issued is None:
        raise not_found(f"Could not find certificate {request['CertificateArn']}")
    if not issued.readiness.poll(now):
        raise in_progress(f"The request for certificate {issued.arn} is in progress")
    answer = {"Certificate": pem(issued.certificate)}
    if issued.chain:
        answer["CertificateChain"] = pem_chain(issued.chain)
    return answer


def _require_fit(authority: Authority, template: Template, csr: Request) -> None:
    """A root template signs the CA's own request; a subordinate's path length must nest in its issuer's."""
    if template.root:
        if authority.kind != "ROOT" or not authority.owns(csr.public_key):
            raise validation(
                f"Template {template.name} signs the certificate signing request of a root CA by itself only"
            )
        return
    if not template.ca:
        return
    assert authority.certificate is not None  # noqa: S101 - an ACTIVE authority has one
    allowed = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    if allowed is not None and (template.path_length is None or template.path_length >= allowed):
        raise validation(
            f"Path length {template.path_length} of template {template.name} does not fit below the path length "
            f"{allowed} of the certificate authority"
        )


def _builder(
    authority: Authority,
    template: Template,
    csr: Request,
    api: dict[str, Any],
    period: Lifetime,
    urls: _Urls,
) -> x509.CertificateBuilder:
    public_key = csr.public_key
    passed = api if template.reads_api else {}
    subject = name(passed["Subject"]) if passed.get("Subject") else csr.subject
    issuer = None if template.root else authority.certificate
    sources = Sources(
        public_key=public_key,
        issuer_key_identifier=key_identifier(issuer) if issuer else None,
        crl_url=urls.crl,
        ocsp_url=urls.ocsp,
        api=passed.get("Extensions") or {},
        csr=csr.extensions,
        subject_is_empty=not len(subject),
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public_key)
        .not_valid_before(period.not_before)
        .not_valid_after(period.not_after)
    )
    for value, critical in assemble(template, sources):
        builder = builder.add_extension(value, critical=critical)
    return builder


def _new_serial(context: Context, authority: Authority) -> int:
    """128 random bits, as in the samples of the user guide."""
    while True:
        serial = int.from_bytes(context.randomness.token_bytes(16), "big")
        if serial and serial not in authority.issued and serial not in authority.failed:
            return serial
