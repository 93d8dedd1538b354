"""Verifying: from an environment or from files, one purpose at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import RevocationReason
from pkiops.cert.verify import Material, material_of_environment, material_of_files, verify_certificate
from pkiops.errors import InputError, NotSupported, VerificationFailed
from pkiops.x509.certificate import pem
from pkiops.x509.chain import Purpose
from pkiops.x509.crl import crl_pem
from tests import builders
from tests.unit.cert.setting import AT, Setting, order

ROOT = builders.root_ca()
ISSUER = builders.subordinate_ca(ROOT)
LEAF = builders.end_entity(ISSUER)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def of_environment(setting: Setting) -> Material:
    return material_of_environment(setting.environment, setting.backend, setting.clock)


def test_what_was_issued_verifies_until_it_is_revoked(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    chain = verify_certificate([issued.certificate], of_environment(setting), purpose=Purpose.CLIENT, at=AT)
    assert len(chain.certificates) == 3
    setting.backend.revoke_certificate(
        str(issued.entry.authority_reference), str(issued.entry.serial), RevocationReason.KEY_COMPROMISE
    )
    with pytest.raises(VerificationFailed) as caught:
        verify_certificate([issued.certificate], of_environment(setting), purpose=Purpose.CLIENT, at=AT)
    assert (caught.value.code, caught.value.exit_code) == ("chain.revoked", 8)


def test_one_purpose_at_a_time(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    with pytest.raises(VerificationFailed) as caught:
        verify_certificate([issued.certificate], of_environment(setting), purpose=Purpose.SERVER, at=AT)
    assert caught.value.code == "chain.purpose"


def test_a_certificate_of_another_environment_does_not_verify(setting: Setting) -> None:
    with pytest.raises(VerificationFailed):
        verify_certificate([LEAF.certificate], of_environment(setting), purpose=Purpose.CLIENT, at=AT)


def test_intermediates_beside_the_certificate_are_no_anchors(setting: Setting) -> None:
    chain = [LEAF.certificate, ISSUER.certificate, ROOT.certificate]
    with pytest.raises(VerificationFailed):
        verify_certificate(chain, of_environment(setting), purpose=Purpose.CLIENT, at=AT)


def test_a_pin_of_the_environment_counts(setting: Setting) -> None:
    authorities = dict(setting.environment.authorities)
    authorities["root"] = replace(authorities["root"], sha256="0" * 64)
    changed = replace(setting.environment, authorities=authorities)
    with pytest.raises(VerificationFailed) as caught:
        material_of_environment(changed, setting.backend, setting.clock)
    assert caught.value.code == "cert.pin"


def test_a_backend_without_crls_is_refused(setting: Setting) -> None:
    with pytest.raises(NotSupported):
        material_of_environment(setting.environment, object(), setting.clock)


def of_files(*crls: bytes, anchors: bytes = pem(ROOT.certificate)) -> Material:
    return material_of_files(
        (anchors, "anchors.pem"), [(pem(ISSUER.certificate), "issuer.pem")], [(crl, "a.crl") for crl in crls]
    )


def test_files_do_as_well() -> None:
    material = of_files()
    assert material.crls is None
    assert verify_certificate([LEAF.certificate], material, purpose=Purpose.CLIENT, at=AT).certificates


def test_files_with_crls_need_those_of_every_ca() -> None:
    own = builders.crl(ISSUER).public_bytes(Encoding.DER)
    with pytest.raises(VerificationFailed) as caught:
        verify_certificate([LEAF.certificate], of_files(own), purpose=Purpose.CLIENT, at=AT)
    assert caught.value.code == "chain.crl-missing"
    both = of_files(own, crl_pem(builders.crl(ROOT)))
    assert verify_certificate([LEAF.certificate], both, purpose=Purpose.CLIENT, at=AT).certificates
    revoked = of_files(crl_pem(builders.crl(ISSUER, revoked={LEAF.serial: None})), crl_pem(builders.crl(ROOT)))
    with pytest.raises(VerificationFailed) as caught:
        verify_certificate([LEAF.certificate], revoked, purpose=Purpose.CLIENT, at=AT)
    assert caught.value.code == "chain.revoked"


def test_a_crl_that_expired_is_said() -> None:
    old = builders.crl(ISSUER, next_update=AT - timedelta(minutes=1))
    with pytest.raises(VerificationFailed) as caught:
        verify_certificate(
            [LEAF.certificate], of_files(crl_pem(old), crl_pem(builders.crl(ROOT))), purpose=Purpose.CLIENT, at=AT
        )
    assert caught.value.code == "crl.expired"


def test_files_that_are_something_else_are_refused() -> None:
    with pytest.raises(InputError):
        of_files(anchors=b"hello")
    with pytest.raises(InputError):
        of_files(pem(ROOT.certificate))
