"""pkilint over what came back: what refuses a certificate, what the backend knows of itself, and what is imported when."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.aws_private_ca.templates import KNOWN_LINT_FINDINGS
from pkiops.backends.interface import IssuanceRequest
from pkiops.backends.lint_findings import KnownLintFinding
from pkiops.cert.lint import lint
from pkiops.environment.models import Environment
from pkiops.errors import InputError, VerificationFailed
from pkiops.ledger.interface import EntryState
from pkiops.x509.keys import PrivateKey
from pkiops.x509.lint import LintSeverity, lint_certificate
from pkiops.x509.signatures import certificate_signed_by
from tests import builders
from tests.fakes.authority import environment
from tests.unit.cert.setting import Setting, order
from tests.unit.environment.samples import SOUND, read

KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_encipherment=True,
    content_commitment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


class Aws:
    """What the AWS backend knows of its templates."""

    known_lint_findings = KNOWN_LINT_FINDINGS


class _Public:
    def __init__(self, der: bytes) -> None:
        self._csr = x509.load_der_x509_csr(der)

    def public_key(self) -> object:
        return self._csr.public_key()


def critical_key_identifier(request: IssuanceRequest, issuer: builders.Issued, serial: int) -> bytes:
    """All that was asked for, but RFC 5280 section 4.2.1.1 says that this extension is never critical."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    made = builders.end_entity(
        issuer,
        request.subject,
        private_key=cast(PrivateKey, _Public(request.csr_der)),
        sans=[str(san) for san in request.sans],
        usage=tuple(request.usages),
        not_before=request.not_before,
        not_after=request.not_after,
        serial=serial,
        crl_urls=["http://pki.test.example.com/crl/clients.crl"],
        extra=[builders.Extra(identifier, critical=True)],
    )
    assert certificate_signed_by(made.certificate, issuer.certificate)
    return made.certificate.public_bytes(Encoding.DER)


def linted(floor: str) -> Environment:
    return replace(environment(), lint=floor)  # type: ignore[arg-type]


def test_a_sound_certificate_passes_at_every_floor() -> None:
    leaf = builders.end_entity(builders.subordinate_ca(builders.root_ca())).certificate
    for floor in ("error", "warning"):
        assert lint(linted(floor), object(), leaf).refusing == ()
    assert {one.severity for one in lint_certificate(leaf)} <= {LintSeverity.INFO, LintSeverity.NOTICE}


def test_severities_are_ordered() -> None:
    assert LintSeverity.FATAL.reaches(LintSeverity.ERROR)
    assert LintSeverity.WARNING.reaches(LintSeverity.WARNING)
    assert not LintSeverity.WARNING.reaches(LintSeverity.ERROR)


@pytest.mark.parametrize("floor", ["error", "warning"])
def test_what_breaks_the_rfc_is_refused_kept_and_never_handed_out(tmp_path: Path, floor: str) -> None:
    setting = Setting(tmp_path, linted(floor))
    setting.backend.answer = critical_key_identifier
    for _ in range(2):  # the second run proves the same certificate again
        with pytest.raises(VerificationFailed, match="authority_key_identifier") as caught:
            setting.issuance().issue(order())
        assert caught.value.code == "cert.lint"
        assert caught.value.details["findings"]
        assert "cert revoke test" in str(caught.value.hint)
    (entry,) = setting.entries()
    assert entry.state is EntryState.FAILED
    assert len(setting.backend.made) == 1


def test_without_a_floor_the_path_is_still_verified(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    setting.backend.answer = critical_key_identifier
    with pytest.raises(VerificationFailed) as caught:
        setting.issuance().issue(order())
    assert caught.value.code.startswith("chain.")


def test_what_the_service_s_own_templates_break_refuses_nobody_and_is_told_with_its_source() -> None:
    issuer = builders.subordinate_ca(builders.root_ca())
    leaf = builders.end_entity(issuer, extra=[builders.Extra(KEY_USAGE, critical=True)]).certificate
    found = lint(linted("error"), Aws(), leaf)
    assert found.refusing == ()
    ((finding, fact),) = found.known
    assert finding.code == "pkix.key_usage_value_prohibited_for_ec"
    assert "RFC 8813" in fact.source
    # of another backend, or for another type of key, the same finding refuses
    assert [one.code for one in lint(linted("error"), object(), leaf).refusing] == [finding.code]

    class Other:
        known_lint_findings = (KnownLintFinding(code=finding.code, key_type="RSA", source="made up"),)

    assert lint(linted("error"), Other(), leaf).refusing


def test_a_linter_that_is_asked_for_and_missing_is_said_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pkilint", None)
    setting = Setting(tmp_path, linted("error"))
    with pytest.raises(InputError) as caught:
        setting.issuance().issue(order())
    assert caught.value.code == "lint.not-installed"
    assert "pkiops[lint]" in str(caught.value.hint)
    assert (setting.backend.calls, setting.asked_who, setting.entries()) == ([], 0, [])
    assert not Setting(tmp_path / "without").issuance().issue(order()).from_ledger


def test_without_a_floor_nothing_of_it_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.unit.cert.setting import Setting, order; "
        "Setting(Path(sys.argv[1])).issuance().issue(order()); "
        "print([one for one in sys.modules if one.split('.')[0] in ('pkilint', 'pyasn1') or one == 'pkiops.x509.lint'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


@pytest.mark.parametrize("floor", ["error", "warning", "none"])
def test_the_file_says_the_floor(floor: str) -> None:
    assert read(f"{SOUND}lint: {floor}\n").lint == floor
    assert read(SOUND).lint == "none"


@pytest.mark.parametrize(
    ("uri", "severities"),
    [
        ("spiffe://test.example.com/ns/a/sa/b", set()),
        ("urn-like+x://host/path", set()),
        ("https://host .example/", {LintSeverity.ERROR}),
        ("spiffe://test.example.com/a b", {LintSeverity.ERROR}),
        ("spiffe://", {LintSeverity.ERROR}),
    ],
)
def test_a_scheme_that_the_linter_does_not_know_is_no_broken_uri(uri: str, severities: set[LintSeverity]) -> None:
    issuer = builders.subordinate_ca(builders.root_ca())
    name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    leaf = builders.end_entity(issuer, sans=(), extra=[builders.Extra(name)]).certificate
    found = {one.severity for one in lint_certificate(leaf) if one.code == "pkix.invalid_uri_syntax"}
    assert found - {LintSeverity.INFO} == severities
