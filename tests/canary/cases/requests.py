"""Requests that IssueCertificate refuses, and some that look as if it should."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.canary.case import ACCEPTED, Case, Phase, refused
from tests.canary.certificates import csr, csr_with_broken_signature

CASES: tuple[Case, ...] = (
    Case(
        name="csr-without-names",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="How a CSR with neither subject nor SAN is refused.",
        source="service model: one of them is needed; silent on the code",
        section="2.3",
        expected=refused("MalformedCSRException"),
        observe=lambda workspace: workspace.ask_issue(csr(None)),
        certificates=1,
    ),
    Case(
        name="csr-long-common-name",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="How a common name of 65 octets is refused.",
        source="user guide: at most 64; silent on the code",
        section="2.3",
        expected=refused("MalformedCSRException"),
        observe=lambda workspace: workspace.ask_issue(csr("x" * 65)),
        certificates=1,
    ),
    Case(
        name="csr-garbage",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="That a text which is no CSR is malformed.",
        source="service model: MalformedCSRException",
        section="2.3",
        expected=refused("MalformedCSRException"),
        observe=lambda workspace: workspace.ask_issue("no request"),
        certificates=1,
    ),
    Case(
        name="csr-broken-signature",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="That the proof of possession in a CSR is checked.",
        source="service model: MalformedCSRException",
        section="2.3",
        expected=refused("MalformedCSRException"),
        observe=lambda workspace: workspace.ask_issue(csr_with_broken_signature()),
        certificates=1,
    ),
    Case(
        name="csr-weak-key",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a CSR with an RSA key of 1024 bits is taken.",
        source="user guide: the strength of keys is not checked",
        section="2.3",
        expected=ACCEPTED,
        observe=lambda workspace: workspace.ask_issue(csr(key=rsa.generate_private_key(65537, 1024))),  # noqa: S505 - on purpose
        certificates=1,
    ),
    Case(
        name="signing-algorithm-of-another-family",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="How an RSA signing algorithm is refused by a CA with an elliptic-curve key.",
        source="seen by users (aws-privateca-issuer#22)",
        section="1.4",
        expected=refused("InvalidArgsException"),
        observe=lambda workspace: workspace.ask_issue(csr(), SigningAlgorithm="SHA256WITHRSA"),
        certificates=1,
    ),
    Case(
        name="unknown-template",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="How a template that does not exist is refused.",
        source="silent on the code",
        section="2.1",
        expected=refused("InvalidArgsException"),
        observe=lambda workspace: workspace.ask_issue(csr(), "NoSuchCertificate"),
        certificates=1,
    ),
    Case(
        name="two-choices-of-a-general-name",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="How a GeneralName with two choices is refused.",
        source="service model: InvalidArgsException",
        section="2.2",
        expected=refused("InvalidArgsException"),
        observe=lambda workspace: workspace.ask_issue(
            csr(),
            "EndEntityClientAuthCertificate_APIPassthrough",
            ApiPassthrough={
                "Extensions": {"SubjectAlternativeNames": [{"DnsName": "a.example.com", "IpAddress": "192.0.2.1"}]}
            },
        ),
        certificates=1,
    ),
)
