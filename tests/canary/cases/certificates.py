"""What is in issued certificates: names, extensions, moments, serials."""

from __future__ import annotations

from datetime import timedelta

from tests.canary.case import Case, Observation, Phase
from tests.canary.certificates import (
    alternative_name,
    csr,
    distribution_point,
    extensions_of,
    load,
    subject_of,
    urls_of,
)
from tests.canary.workspace import Workspace

_BLANK = "BlankEndEntityCertificate_APIPassthrough"
_USAGES = {"KeyUsage": {"DigitalSignature": True}, "ExtendedKeyUsage": [{"ExtendedKeyUsageType": "CLIENT_AUTH"}]}
_SAN = {"SubjectAlternativeNames": [{"DnsName": "api.example.com"}]}
_IDENTIFIERS = {"authorityKeyIdentifier": "not critical", "subjectKeyIdentifier": "not critical"}


def _serial(workspace: Workspace) -> Observation:
    said = str(workspace.describe()["Serial"])
    answer = workspace.pca.get_certificate_authority_certificate(CertificateAuthorityArn=workspace.arn)
    number = load(answer["Certificate"]).serial_number
    pairs = number.to_bytes((number.bit_length() + 7) // 8, "big").hex(":")
    spellings = {str(number): "decimal", f"{number:x}": "hexadecimal", f"{number:032x}": "hexadecimal, 32 digits"}
    return {**spellings, pairs: "hexadecimal pairs with colons"}.get(said.lower(), "another spelling")


def _last_segment(workspace: Workspace) -> Observation:
    answer = workspace.pca.issue_certificate(**workspace.issue_request(csr(), "EndEntityClientAuthCertificate"))
    arn = str(answer["CertificateArn"])
    number = load(workspace.certificate(arn)).serial_number
    spellings = {f"{number:032x}": "the serial as 32 hexadecimal digits", str(number): "the serial in decimal"}
    return spellings.get(arn.rpartition("/")[2], "something else")


def _client_certificate(workspace: Workspace) -> Observation:
    return extensions_of(load(workspace.issue(csr(extensions=[alternative_name("canary.example.com")]))))


def _through_the_api(workspace: Workspace) -> Observation:
    api = {"Extensions": {**_USAGES, **_SAN}}
    return extensions_of(load(workspace.issue(csr(), _BLANK, ApiPassthrough=api)))


def _without_subject(workspace: Workspace) -> Observation:
    request = csr(None, extensions=[alternative_name("csr.example.com")])
    api = {"Extensions": {**_USAGES, **_SAN}}
    found = load(workspace.issue(request, _BLANK, ApiPassthrough=api))
    return {"subject": subject_of(found), "extensions": extensions_of(found)}


def _ignored_by_base(workspace: Workspace) -> Observation:
    api = {"Subject": {"CommonName": "api.example.com", "Country": "GB"}, "Extensions": {**_USAGES, **_SAN}}
    found = load(workspace.issue(csr(), ApiPassthrough=api))
    return {"subject": subject_of(found), "extensions": extensions_of(found)}


def _api_subject(workspace: Workspace) -> Observation:
    fields = ("Title", "SerialNumber", "CommonName", "State", "Locality", "OrganizationalUnit", "Organization")
    api = {"Subject": {**dict.fromkeys(fields, "Example"), "Country": "GB"}}
    return subject_of(load(workspace.issue(csr(), "EndEntityClientAuthCertificate_APIPassthrough", ApiPassthrough=api)))


def _point_of_csr(workspace: Workspace) -> Observation:
    url = "http://pki.example.com/own.crl"
    found = load(workspace.issue(csr(extensions=[distribution_point(url)])))
    return {
        "distribution point": "of the CSR" if urls_of(found) == [url] else "none" if not urls_of(found) else "another"
    }


def _backdating(workspace: Workspace) -> Observation:
    asked = workspace.now()
    before = asked - load(workspace.issue(csr())).not_valid_before_utc
    # issuance comes after the question, by no more than our patience
    is_hour = timedelta(minutes=58) <= before <= timedelta(minutes=60, seconds=5)
    return "60 minutes before issuance" if is_hour else f"{round(before.total_seconds() / 60)} minutes before issuance"


CASES: tuple[Case, ...] = (
    Case(
        name="describe-serial-spelling",
        operation="DescribeCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="How Describe spells the serial number of a CA's certificate.",
        source="user guide: one page shows decimal, another hexadecimal",
        section="12",
        expected="decimal",
        observe=_serial,
    ),
    Case(
        name="certificate-arn-serial",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether the last part of a certificate's ARN is its serial number.",
        source="seen in practice; the service model's example shows a decimal",
        section="2.3",
        expected="the serial as 32 hexadecimal digits",
        observe=_last_segment,
        certificates=1,
    ),
    Case(
        name="client-certificate-extensions",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Which extensions EndEntityClientAuthCertificate/V1 writes, and the criticality of each.",
        source="user guide, template definitions",
        section="2.1",
        expected={
            **_IDENTIFIERS,
            "basicConstraints": "not critical, CA:FALSE",
            "extendedKeyUsage": "not critical, clientAuth",
            "keyUsage": "critical, digitalSignature, keyEncipherment",
            "subjectAltName": "not critical",
        },
        observe=_client_certificate,
        certificates=1,
    ),
    Case(
        name="api-extensions-criticality",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether keyUsage, extendedKeyUsage and the SAN are critical when they come through the API.",
        source="silent",
        section="2.2",
        expected={
            **_IDENTIFIERS,
            "basicConstraints": "not critical, CA:FALSE",
            "extendedKeyUsage": "not critical, clientAuth",
            "keyUsage": "critical, digitalSignature",
            "subjectAltName": "not critical",
        },
        observe=_through_the_api,
        certificates=1,
    ),
    Case(
        name="api-san-without-subject",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a request without a subject is taken, and whether the SAN is critical then.",
        source="service model: a subject or a SAN; silent on criticality (RFC 5280 4.2.1.6 demands it)",
        section="2.3",
        expected={
            "subject": [],
            "extensions": {
                **_IDENTIFIERS,
                "basicConstraints": "not critical, CA:FALSE",
                "extendedKeyUsage": "not critical, clientAuth",
                "keyUsage": "critical, digitalSignature",
                "subjectAltName": "critical",
            },
        },
        observe=_without_subject,
        certificates=1,
    ),
    Case(
        name="base-template-ignores-api",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a template without API passthrough ignores ApiPassthrough silently.",
        source="service model",
        section="2.2",
        expected={
            "subject": ["CommonName"],
            "extensions": {
                **_IDENTIFIERS,
                "basicConstraints": "not critical, CA:FALSE",
                "extendedKeyUsage": "not critical, clientAuth",
                "keyUsage": "critical, digitalSignature, keyEncipherment",
            },
        },
        observe=_ignored_by_base,
        certificates=1,
    ),
    Case(
        name="api-subject-order",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="In which order the fields of a subject given through the API are encoded.",
        source="silent",
        section="2.2",
        expected=[
            "Country",
            "Organization",
            "OrganizationalUnit",
            "State",
            "CommonName",
            "SerialNumber",
            "Locality",
            "Title",
        ],
        observe=_api_subject,
        certificates=1,
    ),
    Case(
        name="client-certificate-keeps-csr-distribution-point",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether the base client template takes a distribution point from the CSR where the CA has none.",
        source="user guide: 'CA configuration or CSR' for this base template alone",
        section="2.2",
        expected={"distribution point": "of the CSR"},
        observe=_point_of_csr,
        certificates=1,
    ),
    Case(
        name="default-not-before",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="How long before issuance a certificate starts if nothing is said.",
        source="service model: 60 minutes",
        section="2.3",
        expected="60 minutes before issuance",
        observe=_backdating,
        certificates=1,
    ),
)
