"""The OCSP responder over HTTP: GET and POST, by host, and before OpenSSL as the judge."""

from __future__ import annotations

import base64
import http.client
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from pkiops.clock import SystemClock
from tests.aws.sandbox import scene
from tests.live_programs import require_program
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.unit.sandbox.ocsp_requests import request_for, request_for_serial
from tests.unit.sandbox.world import csr

SERVICE_HOST = "ocsp.acm-pca.eu-west-1.amazonaws.com"
CUSTOM_HOST = "ocsp.example.com"
OCSP = {"OcspConfiguration": {"Enabled": True}}


@dataclass
class Responder:
    """A root with a responder, and one certificate of it."""

    sandbox: RunningSandbox
    arn: str
    issuer: x509.Certificate
    leaf: x509.Certificate

    @property
    def request(self) -> bytes:
        return request_for(self.leaf, self.issuer)

    def ask(
        self, method: str, path: str = "/", body: bytes | None = None, *, host: str = SERVICE_HOST, **headers: str
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.sandbox.port, timeout=10)
        connection.request(method, path, body=body, headers={"Host": host, **headers})
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response

    def answer(self, response: http.client.HTTPResponse) -> ocsp.OCSPResponse:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/ocsp-response"
        return ocsp.load_der_ocsp_response(response.body)  # type: ignore[attr-defined]


def responder(sandbox: RunningSandbox, configuration: dict[str, Any] | None = None) -> Responder:
    pca = sandbox.client("acm-pca")
    arn = scene.active_root(pca, RevocationConfiguration=configuration or OCSP)
    issuer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)["Certificate"]
    leaf = scene.certificate(pca, arn, scene.leaf(pca, arn))["Certificate"]
    return Responder(
        sandbox, arn, x509.load_pem_x509_certificate(issuer.encode()), x509.load_pem_x509_certificate(leaf.encode())
    )


@pytest.fixture
def here() -> Iterator[Responder]:
    with running_sandbox() as sandbox:
        yield responder(sandbox)


GOOD = ocsp.OCSPCertStatus.GOOD


def test_post(here: Responder) -> None:
    response = here.ask("POST", body=here.request, **{"Content-Type": "application/ocsp-request"})
    assert here.answer(response).certificate_status is GOOD
    assert "Cache-Control" not in response.headers


@pytest.mark.parametrize("safe", ["", "/"])
@pytest.mark.parametrize("prefix", ["/", "//"])
def test_get(here: Responder, prefix: str, safe: str) -> None:
    # with a serial that needs + and / in base64
    for serial in (here.leaf.serial_number, 0x7FFFFEFBFFBEFFFF, 0x3EFBEFBEFBEFBE):
        request = request_for_serial(here.issuer, serial)
        path = prefix + urllib.parse.quote(base64.b64encode(request).decode(), safe=safe)
        response = here.ask("GET", path)
        answer = here.answer(response)
        assert answer.serial_number == serial
        assert response.headers["Last-Modified"] == response.headers["Date"]
        assert "max-age=3600" in str(response.headers["Cache-Control"])
        assert response.headers["ETag"]
        assert response.headers["Expires"]


def test_head(here: Responder) -> None:
    path = "/" + urllib.parse.quote(base64.b64encode(here.request).decode(), safe="")
    response = here.ask("HEAD", path)
    assert response.status == 200
    assert int(str(response.headers["Content-Length"])) > 0


@pytest.mark.parametrize("path", ["/", "/not base64".replace(" ", "%20"), "/AAAA", "/" + "A" * 9000])
def test_a_get_of_nonsense_is_malformed(here: Responder, path: str) -> None:
    answer = here.answer(here.ask("GET", path))
    assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_other_methods_are_not_allowed(here: Responder) -> None:
    response = here.ask("PUT", body=here.request)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD, POST"


def test_only_under_its_hosts() -> None:
    configuration = {"OcspConfiguration": {"Enabled": True, "OcspCustomCname": CUSTOM_HOST}}
    with running_sandbox() as sandbox:
        here = responder(sandbox, configuration)
        for host in (CUSTOM_HOST, f"{CUSTOM_HOST}:80", CUSTOM_HOST.upper(), SERVICE_HOST):
            assert here.answer(here.ask("POST", body=here.request, host=host)).certificate_status is GOOD
        for host in ("ocsp.acm-pca.us-east-1.amazonaws.com", "other.example.com", f"127.0.0.1:{sandbox.port}"):
            response = here.ask("POST", body=here.request, host=host)
            assert response.headers.get("Content-Type") != "application/ocsp-response"


def test_of_several_authorities_the_right_one_answers(here: Responder) -> None:
    other = responder(here.sandbox, {**OCSP, "CrlConfiguration": {"Enabled": False}})
    for one in (here, other):
        assert one.answer(one.ask("POST", body=one.request)).certificate_status is GOOD


@dataclass
class Judge:
    """``openssl ocsp`` with the sandbox as its proxy: the URL is the certificate's own."""

    folder: Path
    port: int
    url: str

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [require_program("openssl"), "ocsp", "-no_nonce", "-CAfile", "root.pem"]
        command += ["-url", self.url, "-proxy", f"http://127.0.0.1:{self.port}", "-timeout", "10"]
        # a digest must come before what it is used for
        digest = [option for option in options if option.startswith("-sha")]
        command += [*digest, "-issuer", "root.pem", *(option for option in options if option not in digest)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=30, check=False)


KEYS = [
    ("EC_prime256v1", "SHA256WITHECDSA"),
    ("EC_secp521r1", "SHA512WITHECDSA"),
    ("RSA_2048", "SHA384WITHRSA"),
    ("RSA_2048", "SHA256WITHRSA_PSS"),
]


def make_chain(sandbox: RunningSandbox, folder: Path, key: str, signing: str) -> Judge:
    """A root, and a good and a revoked certificate of it, as files; the judge knows the URL out of the latter."""
    configuration = {**scene.CONFIGURATION, "KeyAlgorithm": key, "SigningAlgorithm": signing}
    pca, sign = sandbox.client("acm-pca"), {"SigningAlgorithm": signing}
    arn = scene.create(pca, CertificateAuthorityConfiguration=configuration, RevocationConfiguration=OCSP)
    while scene.describe(pca, arn)["Status"] == "CREATING":
        pass
    request = pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]
    forever = {"Validity": {"Type": "YEARS", "Value": 20}}
    own = scene.certificate(pca, arn, scene.issue(pca, arn, request, "RootCACertificate", **sign, **forever))
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=own["Certificate"])
    texts = {"root": own["Certificate"]}
    for name in ("good", "revoked"):
        texts[name] = scene.certificate(pca, arn, scene.issue(pca, arn, csr(name), **sign))["Certificate"]
    for name, text in texts.items():
        (folder / f"{name}.pem").write_text(text)
    revoked = x509.load_pem_x509_certificate(texts["revoked"].encode())
    serial = f"{revoked.serial_number:x}"
    pca.revoke_certificate(CertificateAuthorityArn=arn, CertificateSerial=serial, RevocationReason="KEY_COMPROMISE")
    access = revoked.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    return Judge(folder, sandbox.port, str(access[0].access_location.value))


@pytest.mark.live
@pytest.mark.parametrize(("key", "signing"), KEYS)
def test_openssl_believes_it(tmp_path: Path, key: str, signing: str) -> None:
    # the machine's clock: OpenSSL judges by it
    with running_sandbox(clock=SystemClock()) as sandbox:
        judge = make_chain(sandbox, tmp_path, key, signing)
        for options, status in (
            (["-cert", "good.pem"], "good.pem: good"),
            (["-sha256", "-cert", "good.pem"], "good.pem: good"),
            (["-cert", "revoked.pem"], "revoked.pem: revoked"),
            (["-serial", "0x1234"], "0x1234: unknown"),
        ):
            run = judge.run(*options)
            assert run.returncode == 0, run.stderr
            assert "Response verify OK" in run.stderr
            assert status in run.stdout
        assert "Reason: keyCompromise" in judge.run("-cert", "revoked.pem").stdout
