"""Reading one, creating, signing and activating certificate authorities; listing them is ``listing.py``.

CreateCertificateAuthority and IssueCertificate carry a token derived from the complete request, so that a repeated call, by this run
or another, is the same call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pkiops.aws_errors import translated
from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.calls import certificates_from_api
from pkiops.backends.aws_private_ca.listing import Listing
from pkiops.backends.aws_private_ca.templates import root_template, subordinate_template
from pkiops.backends.aws_private_ca.tokens import idempotency_token
from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityRequest,
    AuthorityStatus,
)
from pkiops.errors import AccessDenied, BackendError, InProgress, InvalidState, NotFound, Throttled
from pkiops.homes import partition_of
from pkiops.pacing import CREATE_PATIENCE_S
from pkiops.x509 import pem
from pkiops.x509.name_constraints import encode_name_constraints

_T = TypeVar("_T")

# how often a CA certificate is asked for when the service accepts the request and then fails it for no reason given (RequestFailedException)
_SIGNINGS = 3
# a bucket policy written, or a CA activated, a moment ago may not be seen by the service yet
_SETTLING_S = 60.0
_SETTLING_PAUSE_S = 2.0


class Authorities(Listing):
    """Certificate authorities of one account and region (ReadsAuthorities, and CreatesAuthorities but for what ``configuration.py`` changes)."""

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        """The CA's certificate and those above it, DER, root last (GetCertificateAuthorityCertificate)."""
        with translated("GetCertificateAuthorityCertificate", reference):
            answer = self._clients.private_ca().get_certificate_authority_certificate(CertificateAuthorityArn=reference)
        return certificates_from_api(answer["Certificate"], answer.get("CertificateChain"), reference)

    def create_authority(self, request: AuthorityRequest) -> str:
        """Create a CA (CreateCertificateAuthority); retried while a fresh bucket policy is not seen yet."""
        parameters = shapes.create_parameters(request, partition_of(self._clients.access.region))
        token = idempotency_token("CreateCertificateAuthority", parameters)

        def create() -> str:
            with translated("CreateCertificateAuthority", request.subject.get("common_name", "a CA")):
                answer = self._clients.private_ca().create_certificate_authority(**parameters, IdempotencyToken=token)
            return answer["CertificateAuthorityArn"]

        # soon: its token is forgotten after five minutes, and then it would be another CA
        reference = self._while_settling(create, is_bucket_permission, all_told=True)
        try:
            # the next call may not know it yet
            self._wait_for(lambda: self.describe_authority(reference), f"{reference} to be known")
        except NotFound as error:
            # deleted before it had a certificate, a CA is gone at once, but the call that made it is answered as before for five minutes
            raise InProgress(
                f"CreateCertificateAuthority answers with {reference}, which does not exist (any more)",
                hint="if it was deleted a moment ago, wait five minutes, then run the same command again",
                code="ca.gone",
                details={"reference": reference},
            ) from error
        return reference

    def authority_csr(self, reference: str) -> bytes:
        """The CA's certification request, DER (GetCertificateAuthorityCsr); waits while the CA is CREATING."""

        def ask() -> str:
            with translated("GetCertificateAuthorityCsr", reference):
                return self._clients.private_ca().get_certificate_authority_csr(CertificateAuthorityArn=reference)[
                    "Csr"
                ]

        text = self._wait_for(ask, f"CSR of {reference}")
        try:
            requests = pem.decode(text, pem.CERTIFICATE_REQUEST)
        except ValueError as error:
            raise BackendError(f"CSR of {reference} is not PEM: {error}", code="backend.answer") from error
        if len(requests) != 1:
            raise BackendError(f"CSR of {reference}: the answer holds {len(requests)} requests", code="backend.answer")
        return requests[0]

    def sign_authority(self, request: AuthorityCertificateRequest) -> tuple[bytes, ...]:
        """Have a CA certificate signed (IssueCertificate, GetCertificate)."""
        is_root = request.authority == request.issuer
        constraints = encode_name_constraints(request.name_constraints) if request.name_constraints else None
        if is_root:
            template = root_template(request.path_length)
        else:
            template = subordinate_template(request.path_length or 0, passthrough=constraints is not None)
        parameters = shapes.issue_parameters(
            authority=request.issuer,
            csr_pem=pem.encode(request.csr_der, pem.CERTIFICATE_REQUEST),
            signing_algorithm=request.issuer_signing_algorithm.value,
            template_arn=template.arn(shapes.partition_of_arn(request.issuer)),
            not_before=request.not_before,
            not_after=request.not_after,
            api_passthrough=shapes.authority_passthrough(template, constraints),
        )
        failed = ""
        for _ in range(_SIGNINGS - 1):
            certificate = self._sign(request, parameters, after=failed)
            try:
                return self._fetch(request.issuer, certificate)
            except BackendError as error:
                if error.code != "backend.request-failed":
                    raise
            failed = certificate
        return self._fetch(request.issuer, self._sign(request, parameters, after=failed))

    def _sign(self, request: AuthorityCertificateRequest, parameters: Mapping[str, Any], *, after: str) -> str:
        """Ask for a CA certificate; ``after`` one that the service accepted and then failed to issue, whose token would only name it again.

        Its ARN is in the next token, so that several runs, which all see the same failure, still make one call.
        """
        is_root = request.authority == request.issuer
        began = self._clock.monotonic()

        def is_settling(error: BackendError) -> bool:
            if isinstance(error, Throttled):
                # no ledger counts the age of this token, so a busy service is waited for as long as it is sure to be remembered
                return self._clock.monotonic() - began < CREATE_PATIENCE_S
            # an issuer that became ACTIVE a moment ago may not issue yet (terraform-provider-aws retries for a minute too)
            return isinstance(error, InvalidState) and not is_root and self._is_active(request.issuer)

        return self._while_settling(lambda: self._issue(parameters, salt=after or request.replaces), is_settling)

    def install_authority(self, reference: str, chain: Sequence[bytes]) -> None:
        """Install a CA certificate (ImportCertificateAuthorityCertificate) and wait until the CA is ACTIVE.

        An EXPIRED one that had been disabled before is DISABLED afterwards (User Guide, private CA lifecycle).
        """
        parameters: dict[str, Any] = {
            "CertificateAuthorityArn": reference,
            "Certificate": pem.encode(chain[0], pem.CERTIFICATE),
        }
        if len(chain) > 1:
            parameters["CertificateChain"] = b"".join(pem.encode(der, pem.CERTIFICATE) for der in chain[1:])

        def install() -> None:
            with translated("ImportCertificateAuthorityCertificate", reference):
                self._clients.private_ca().import_certificate_authority_certificate(**parameters)

        try:
            self._when_free(install)
        except (InProgress, InvalidState):
            # another run may be installing, or have installed, the same certificate at this moment
            self._wait_for(self._installed(reference), f"{reference} to become ACTIVE")
            if self.authority_chain(reference)[0] != chain[0]:
                raise
            return
        self._wait_for(self._installed(reference), f"{reference} to become ACTIVE")

    def _installed(self, reference: str) -> Callable[[], bool | None]:
        def ask() -> bool | None:
            status = self.describe_authority(reference).status
            return status in {AuthorityStatus.ACTIVE, AuthorityStatus.DISABLED} or None

        return ask

    def _is_active(self, reference: str) -> bool:
        return self.describe_authority(reference).status is AuthorityStatus.ACTIVE

    def _while_settling(
        self, call: Callable[[], _T], is_settling: Callable[[BackendError], bool], *, all_told: bool = False
    ) -> _T:
        """Call, and again for a while if it fails only because an earlier change is not seen everywhere yet.

        The time that calls take (a busy service is waited for in them) is not counted, unless it is to be over soon ``all_told``.
        """
        started, paused = self._clock.monotonic(), 0.0
        while True:
            try:
                return call()
            except BackendError as error:
                waited = self._clock.monotonic() - started if all_told else paused
                if waited > _SETTLING_S or not is_settling(error):
                    raise
            self._clock.sleep(_SETTLING_PAUSE_S)
            paused += _SETTLING_PAUSE_S

    def _issue(self, parameters: Mapping[str, Any], *, salt: str) -> str:
        token = idempotency_token("IssueCertificate", parameters, salt=salt)
        try:
            with translated("IssueCertificate", str(parameters["CertificateAuthorityArn"])):
                answer = self._issuing().issue_certificate(**parameters, IdempotencyToken=token)
        except AccessDenied as error:
            # the service never says that the template was in the way; its managed policy AWSPrivateCAUser denies all but one
            if error.details.get("aws_error") == "AccessDeniedException":
                error.hint = (
                    f"{error.hint}, with template {parameters['TemplateArn']} (condition key acm-pca:TemplateArn)"
                )
            raise
        return answer["CertificateArn"]

    def _fetch(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        def ask() -> tuple[bytes, ...]:
            with translated("GetCertificate", certificate):
                answer = self._issuing().get_certificate(CertificateAuthorityArn=authority, CertificateArn=certificate)
            return certificates_from_api(answer["Certificate"], answer.get("CertificateChain"), certificate)

        return self._wait_for(ask, f"certificate {certificate}") if self._is_patient else ask()


def is_bucket_permission(error: BackendError) -> bool:
    """Whether the service could not write into the CRL bucket, perhaps because a policy of a moment ago is not seen yet."""
    # the only sign the service gives is this text (terraform-provider-aws retries on it too)
    return error.details.get("aws_error") == "ValidationException" and "S3 bucket" in error.message
