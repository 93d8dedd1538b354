"""Issuing and revoking end entity certificates."""

from __future__ import annotations

from pkiops.aws_errors import translated
from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.calls import is_another_change
from pkiops.backends.aws_private_ca.configuration import Configuration
from pkiops.backends.aws_private_ca.templates import KNOWN_LINT_FINDINGS, Template, end_entity_template
from pkiops.backends.interface import (
    ExpectedCertificate,
    IssuanceRequest,
    ObservedAuthority,
    RevocationOutcome,
    RevocationReason,
)
from pkiops.backends.lint_findings import KnownLintFinding
from pkiops.errors import AlreadyExists, InProgress
from pkiops.homes import home_of_reference
from pkiops.x509 import pem

# the service updates a CRL about half an hour after a revocation (CrlConfiguration in the API reference)
CRL_DELAY_S = 1800

_REASONS = {
    RevocationReason.UNSPECIFIED: "UNSPECIFIED",
    RevocationReason.KEY_COMPROMISE: "KEY_COMPROMISE",
    RevocationReason.CA_COMPROMISE: "CERTIFICATE_AUTHORITY_COMPROMISE",
    RevocationReason.AFFILIATION_CHANGED: "AFFILIATION_CHANGED",
    RevocationReason.SUPERSEDED: "SUPERSEDED",
    RevocationReason.CESSATION_OF_OPERATION: "CESSATION_OF_OPERATION",
    RevocationReason.PRIVILEGE_WITHDRAWN: "PRIVILEGE_WITHDRAWN",
    RevocationReason.AA_COMPROMISE: "A_A_COMPROMISE",
}
# the one extension that a base template may take from the CSR (User Guide, EndEntityClientAuthCertificate/V1)
_DISTRIBUTION_POINTS = "2.5.29.31"
_SHORT_NAMES = {
    "C": "country",
    "O": "organization",
    "OU": "organizational_unit",
    "ST": "state",
    "L": "locality",
    "CN": "common_name",
}


class Issuance(Configuration):
    """End entity certificates (IssuesCertificates, KnowsLintFindings, RevokesCertificates)."""

    def expect_certificate(self, request: IssuanceRequest, authority: ObservedAuthority) -> ExpectedCertificate:
        """What the chosen template will make of the request."""
        template = _template_for(request)
        region = self._publication.access.region
        return ExpectedCertificate(
            template=template.arn(shapes.partition_of_arn(request.authority)),
            subject=dict(request.subject),
            sans=tuple(request.sans),
            key_usage=template.key_usage,
            extended_key_usage=template.extended_key_usage,
            is_ca=False,
            path_length=None,
            crl_url=crl_url(authority, region) or crl_folder(authority, region),
            not_before=request.not_before,
            not_after=request.not_after,
            ocsp_url=ocsp_url(authority),
            names_from_csr=not template.passthrough,
        )

    @property
    def known_lint_findings(self) -> tuple[KnownLintFinding, ...]:
        """What pkilint finds in every certificate of the service's templates (KnowsLintFindings)."""
        return KNOWN_LINT_FINDINGS

    def request_certificate(self, request: IssuanceRequest) -> str:
        """Ask for a certificate (IssueCertificate) and return its ARN."""
        template = _template_for(request)
        parameters = shapes.issue_parameters(
            authority=request.authority,
            csr_pem=pem.encode(request.csr_der, pem.CERTIFICATE_REQUEST),
            signing_algorithm=request.authority_signing_algorithm.value,
            template_arn=template.arn(shapes.partition_of_arn(request.authority)),
            not_before=request.not_before,
            not_after=request.not_after,
            api_passthrough=shapes.names_passthrough(request.subject, request.sans) if template.passthrough else None,
        )
        return self._issue(parameters, salt=request.attempt)

    def fetch_certificate(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        """The certificate and those above it, DER, root last (GetCertificate); waits until it is issued."""
        return self._fetch(authority, certificate)

    def revoke_certificate(self, authority: str, serial: str, reason: RevocationReason) -> RevocationOutcome:
        """Revoke by serial (RevokeCertificate)."""

        def revoke() -> None:
            with translated("RevokeCertificate", f"serial {serial} of {authority}"):
                self._clients.private_ca().revoke_certificate(
                    CertificateAuthorityArn=authority,
                    CertificateSerial=serial,
                    RevocationReason=_REASONS[reason],  # type: ignore[arg-type]
                )

        try:
            self._when_free(revoke)
        except AlreadyExists:
            return RevocationOutcome(already_revoked=True, visible_after_seconds=CRL_DELAY_S)
        except InProgress as error:
            # being revoked is as good as revoked; another change in the way is not
            if is_another_change(error):
                raise
            return RevocationOutcome(already_revoked=True, visible_after_seconds=CRL_DELAY_S)
        return RevocationOutcome(already_revoked=False, visible_after_seconds=CRL_DELAY_S)


def crl_url(authority: ObservedAuthority, region: str) -> str | None:
    """The distribution point the service writes into every certificate of this CA (User Guide, planning a CRL); None where there is no one such.

    ``region`` is the bucket's.
    """
    folder = crl_folder(authority, region)
    if folder is None or authority.crl is None or not authority.crl.complete:
        return None
    return f"{folder}{shapes.authority_id(authority.reference)}.crl"


def crl_folder(authority: ObservedAuthority, region: str) -> str | None:
    """The URL of the folder in which the CRL, or each part of it, is; ends in ``/``. None where certificates name no CRL."""
    crl = authority.crl
    if crl is None or not crl.named:
        return None
    path = crl.path.strip("/")
    return f"http://{crl.host or f'{crl.bucket}.s3.{region}.{_suffix(region)}'}/{path + '/' if path else ''}"


def ocsp_url(authority: ObservedAuthority) -> str | None:
    """The responder that the service writes into every certificate of this CA (User Guide, customizing OCSP); None where it is off."""
    home = home_of_reference(authority.reference)
    if not authority.ocsp or home is None:
        return None
    return f"http://{authority.ocsp_host or f'ocsp.acm-pca.{home.region}.{_suffix(home.region)}'}"


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _template_for(request: IssuanceRequest) -> Template:
    return end_entity_template(
        request.usages, passthrough=_DISTRIBUTION_POINTS in request.csr_extensions or not _csr_says_the_same(request)
    )


def _csr_says_the_same(request: IssuanceRequest) -> bool:
    subject = sorted((name, value) for name, value in request.subject.items() if value)
    in_csr = sorted((_SHORT_NAMES.get(name, name), value) for name, value in request.csr_subject)
    return subject == in_csr and sorted(request.sans) == sorted(request.csr_sans)
