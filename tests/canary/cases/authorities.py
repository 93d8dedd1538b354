"""Creating a CA, its request and its first certificate."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.certificates import csr, extensions_of, load, subject_of
from tests.canary.workspace import Workspace, absolute


def _same_token(workspace: Workspace) -> Observation:
    arn: list[str] = []

    def create() -> None:
        arn.append(workspace.create_authority(token=workspace.authority_token, common_name="pkiops canary, other"))

    found = workspace.outcome(create)
    if not arn:
        return found
    return {"authority": "the first again" if arn == [workspace.arn] else "another"}


def _no_token(workspace: Workspace) -> Observation:
    arns: list[str] = []
    for _ in range(2):
        answer = workspace.outcome(
            lambda: arns.append(workspace.create_authority(token=None, common_name=f"pkiops canary {workspace.run}"))
        )
        if answer != ACCEPTED:
            return answer
    return {"authorities": len(set(arns))}


def _own_request(workspace: Workspace) -> x509.CertificateSigningRequest:
    return x509.load_pem_x509_csr(workspace.authority_csr().encode())


def _foreign_certificate(workspace: Workspace) -> Observation:
    request = _own_request(workspace)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(request.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(workspace.now() - timedelta(hours=1))
        .not_valid_after(workspace.now() + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    return workspace.ask("import_certificate_authority_certificate", Certificate=pem)


def _chain_for_root(workspace: Workspace) -> Observation:
    pem = workspace.own_certificate()
    return workspace.ask("import_certificate_authority_certificate", Certificate=pem, CertificateChain=pem)


def _blank_root(workspace: Workspace) -> Observation:
    usage = {"Extensions": {"KeyUsage": {"KeyCertSign": True, "CRLSign": True}}}
    pem = workspace.own_certificate("BlankRootCACertificate_APIPassthrough", ApiPassthrough=usage)
    return extensions_of(load(pem))


def _in_the_past(workspace: Workspace) -> Observation:
    return workspace.ask_issue(
        workspace.authority_csr(), "RootCACertificate", Validity=absolute(workspace.now() - timedelta(days=1))
    )


CASES: tuple[Case, ...] = (
    Case(
        name="create-same-token-other-inputs",
        operation="CreateCertificateAuthority",
        phase=Phase.PENDING,
        settles="Whether a token that is used again with another subject within five minutes gives the first CA, a second one, or a refusal.",
        source="silent; in ACM the token was seen to win",
        section="1.3",
        open_point="same token with different parameters",
        expected={"authority": "the first again"},
        observe=_same_token,
        authorities=1,
    ),
    Case(
        name="create-without-token-twice",
        operation="CreateCertificateAuthority",
        phase=Phase.PENDING,
        settles="Whether two calls without a token and with the same inputs within five minutes make one CA.",
        source="silent; seen by a user of AWS (aws/eks-hybrid#701)",
        section="1.3",
        expected={"authorities": 1},
        observe=_no_token,
        authorities=2,
    ),
    Case(
        name="authority-csr-extensions",
        operation="GetCertificateAuthorityCsr",
        phase=Phase.PENDING,
        settles="Which extensions the request of a CA carries.",
        source="samples of the user guide only",
        section="1.5",
        expected={"basicConstraints": "critical, CA:TRUE"},
        observe=lambda workspace: extensions_of(_own_request(workspace)),
    ),
    Case(
        name="authority-subject-order",
        operation="GetCertificateAuthorityCsr",
        phase=Phase.PENDING,
        settles="In which order the standard fields of a CA's subject are encoded.",
        source="silent: custom attributes are recommended where the order matters",
        section="1.3",
        expected=["Country", "Organization", "OrganizationalUnit", "State", "CommonName", "Locality"],
        observe=lambda workspace: subject_of(_own_request(workspace)),
    ),
    Case(
        name="root-certificate-extensions",
        operation="IssueCertificate",
        phase=Phase.PENDING,
        settles="Which extensions RootCACertificate/V1 writes.",
        source="user guide, template definitions",
        section="2.1",
        expected={
            "basicConstraints": "critical, CA:TRUE",
            "keyUsage": "critical, digitalSignature, keyCertSign, cRLSign",
            "subjectKeyIdentifier": "not critical",
        },
        observe=lambda workspace: extensions_of(load(workspace.own_certificate())),
        certificates=1,
    ),
    Case(
        name="blank-root-certificate-extensions",
        operation="IssueCertificate",
        phase=Phase.PENDING,
        settles="Whether a blank root template writes an authority key identifier, and whether keyUsage through the API is critical in it.",
        source="the family is listed, its definition says nothing of the identifier",
        section="2.1",
        expected={
            "basicConstraints": "critical, CA:TRUE",
            "keyUsage": "critical, keyCertSign, cRLSign",
            "subjectKeyIdentifier": "not critical",
        },
        observe=_blank_root,
        certificates=1,
    ),
    Case(
        name="root-template-for-another-csr",
        operation="IssueCertificate",
        phase=Phase.PENDING,
        settles="How a root template refuses a request that is not the CA's own.",
        source="silent on the code",
        section="2.1",
        expected=refused("ValidationException"),
        observe=lambda workspace: workspace.ask_issue(csr(), "RootCACertificate"),
        certificates=1,
    ),
    Case(
        name="root-certificate-in-the-past",
        operation="IssueCertificate",
        phase=Phase.PENDING,
        settles="How a validity that is over is refused, for a root too, which is exempt from the other checks.",
        source="user guide: no validity check on roots; silent on the past",
        section="2.3",
        expected=refused("ValidationException"),
        observe=_in_the_past,
        certificates=1,
    ),
    Case(
        name="import-certificate-of-another-key",
        operation="ImportCertificateAuthorityCertificate",
        phase=Phase.PENDING,
        settles="That a certificate with the CA's subject and another key is a mismatch.",
        source="service model: CertificateMismatchException",
        section="1.5",
        expected=refused("CertificateMismatchException"),
        observe=_foreign_certificate,
    ),
    Case(
        name="import-garbage",
        operation="ImportCertificateAuthorityCertificate",
        phase=Phase.PENDING,
        settles="That a text which is no certificate is malformed.",
        source="service model: MalformedCertificateException",
        section="1.5",
        expected=refused("MalformedCertificateException"),
        observe=lambda workspace: workspace.ask(
            "import_certificate_authority_certificate", Certificate=b"no certificate"
        ),
    ),
    Case(
        name="import-chain-for-root",
        operation="ImportCertificateAuthorityCertificate",
        phase=Phase.PENDING,
        settles="Whether a root takes a chain, and how it refuses one.",
        source="user guide: a root is imported without a chain; silent on the code",
        section="1.5",
        expected=refused("InvalidRequestException"),
        observe=_chain_for_root,
        certificates=1,
    ),
)
