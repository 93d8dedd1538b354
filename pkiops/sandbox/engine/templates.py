"""The certificate templates as a table: what each fixes, and in which passthrough forms it exists.

What this module decides: names, forms and fixed extensions. Which values win over which is ``extensions``'s rule. Source:
the template definitions of the AWS Private CA User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkiops.sandbox.engine.errors import invalid_args

PARTITIONS = ("aws", "aws-cn", "aws-us-gov")
DEFAULT = "EndEntityCertificate"
_ARN = re.compile(r"arn:([a-z-]+):acm-pca:::template/([A-Za-z0-9_]+)/V1")
_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_CODE, _OCSP = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.OCSP_SIGNING


@dataclass(frozen=True, slots=True)
class Template:
    """What one template fixes.

    ``key_usage`` holds names as in ``x509.KeyUsage``; None means that it comes from passthrough, if at all. ``reads_csr`` and
    ``reads_api`` say what the form lets through. ``cdp_from_csr``: a distribution point of the CSR is kept where the CA's
    configuration gives none.
    """

    name: str
    ca: bool
    root: bool = False
    path_length: int | None = None
    basic_constraints_critical: bool = False
    key_usage: frozenset[str] | None = None
    extended_key_usage: tuple[x509.ObjectIdentifier, ...] | None = None
    extended_key_usage_critical: bool = False
    reads_csr: bool = False
    reads_api: bool = False
    cdp_from_csr: bool = False


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    forms: tuple[str, ...]
    ca: bool = False
    root: bool = False
    path_length: int | None = None
    critical: bool = False
    usage: frozenset[str] | None = None
    extended: tuple[x509.ObjectIdentifier, ...] | None = None
    extended_critical: bool = False


_BASE, _CSR, _API, _API_CSR = "", "_CSRPassthrough", "_APIPassthrough", "_APICSRPassthrough"
_ALL = (_BASE, _CSR, _API, _API_CSR)
_BLANK = (_CSR, _API, _API_CSR)
_ENCIPHER = frozenset({"digital_signature", "key_encipherment"})
_SIGN = frozenset({"digital_signature"})
_ISSUE = frozenset({"digital_signature", "key_cert_sign", "crl_sign"})


def _families() -> Iterator[_Family]:
    yield _Family("EndEntityCertificate", _ALL, usage=_ENCIPHER, extended=(_SERVER, _CLIENT))
    yield _Family("EndEntityClientAuthCertificate", _ALL, usage=_ENCIPHER, extended=(_CLIENT,))
    yield _Family("EndEntityServerAuthCertificate", _ALL, usage=_ENCIPHER, extended=(_SERVER,))
    yield _Family("CodeSigningCertificate", _ALL, usage=_SIGN, extended=(_CODE,), extended_critical=True)
    yield _Family("OCSPSigningCertificate", _ALL, usage=_SIGN, extended=(_OCSP,), extended_critical=True)
    yield _Family("BlankEndEntityCertificate", _BLANK)
    yield _Family("BlankEndEntityCertificate_CriticalBasicConstraints", _BLANK, critical=True)
    yield _Family("RootCACertificate", (_BASE, _API), ca=True, root=True, critical=True, usage=_ISSUE)
    yield _Family("BlankRootCACertificate", (_API,), ca=True, root=True, critical=True)
    for length in range(4):
        suffix = f"_PathLen{length}"
        yield _Family(f"BlankRootCACertificate{suffix}", (_API,), True, True, length, True)
        yield _Family(f"SubordinateCACertificate{suffix}", _ALL, True, False, length, True, _ISSUE)
        yield _Family(f"BlankSubordinateCACertificate{suffix}", _BLANK, True, False, length, True)


def _templates() -> Iterator[Template]:
    for family in _families():
        for form in family.forms:
            reads_csr = form in {_CSR, _API_CSR}
            yield Template(
                name=family.name + form,
                ca=family.ca,
                root=family.root,
                path_length=family.path_length,
                basic_constraints_critical=family.critical,
                key_usage=family.usage,
                extended_key_usage=family.extended,
                extended_key_usage_critical=family.extended_critical,
                reads_csr=reads_csr,
                reads_api=form in {_API, _API_CSR},
                # the guide gives "CA configuration or CSR" for this base template too
                cdp_from_csr=reads_csr or family.name + form == "EndEntityClientAuthCertificate",
            )


TEMPLATES: dict[str, Template] = {template.name: template for template in _templates()}


def find(template_arn: str | None, partition: str) -> Template:
    """The template of an ARN, or the default one.

    Raises:
        ServiceError: ``InvalidArgsException``, not a template of the CA's partition.
    """
    if template_arn is None:
        return TEMPLATES[DEFAULT]
    match = _ARN.fullmatch(template_arn)
    if match is None or match[1] not in PARTITIONS or match[2] not in TEMPLATES:
        raise invalid_args(f"Template ARN {template_arn} is not valid")
    if match[1] != partition:
        raise invalid_args(
            f"Template ARN {template_arn} is not of the partition {partition} of the certificate authority"
        )
    return TEMPLATES[match[2]]
