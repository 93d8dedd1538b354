"""Chains: accepted or refused, and why in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkiops.errors import VerificationFailed
from pkiops.x509.chain import Purpose, VerifiedChain, verify_ca_chain, verify_chain
from tests.builders import AT, Extra, Issued, crl, end_entity, key, root_ca, subordinate_ca

ROOT = root_ca()
CLIENTS = subordinate_ca(ROOT)
LEAF = end_entity(CLIENTS)
DAY = timedelta(days=1)


def _verify(
    leaf: Issued,
    below: Sequence[Issued] = (CLIENTS,),
    anchors: Sequence[Issued] = (ROOT,),
    *,
    at: datetime = AT,
    purpose: Purpose = Purpose.CLIENT,
    crls: Sequence[x509.CertificateRevocationList] | None = None,
) -> VerifiedChain:
    return verify_chain(
        leaf.certificate,
        intermediates=[item.certificate for item in below],
        anchors=[item.certificate for item in anchors],
        at=at,
        purpose=purpose,
        crls=crls,
    )


def _eku(oid: x509.ObjectIdentifier) -> Extra:
    return Extra(x509.ExtendedKeyUsage([oid]))


def _permit(name: str) -> Extra:
    return Extra(x509.NameConstraints([x509.DNSName(name)], None), critical=True)


def test_a_sound_chain_is_returned_from_leaf_to_anchor() -> None:
    expected = (LEAF.certificate, CLIENTS.certificate, ROOT.certificate)
    assert _verify(LEAF).certificates == expected
    assert _verify(LEAF, anchors=[root_ca(), ROOT]).certificates == expected
    assert _verify(LEAF, below=[], anchors=[CLIENTS]).certificates == expected[:2]
    assert _verify(LEAF, at=AT.astimezone(timezone(timedelta(hours=9)))).certificates == expected


def test_purposes_are_told_apart() -> None:
    server = end_entity(CLIENTS, usage=("serverAuth",))
    both = end_entity(CLIENTS, usage=("clientAuth", "serverAuth"))
    assert _verify(server, purpose=Purpose.SERVER).certificates
    assert _verify(both, purpose=Purpose.SERVER).certificates
    assert _verify(both).certificates
    with pytest.raises(VerificationFailed) as caught:
        _verify(LEAF, purpose=Purpose.SERVER)
    assert caught.value.code == "chain.purpose"


def test_validity_counts_at_both_ends() -> None:
    assert _verify(LEAF, at=LEAF.certificate.not_valid_before_utc).certificates
    assert _verify(LEAF, at=LEAF.certificate.not_valid_after_utc).certificates


_EXPIRED_ROOT = root_ca(private_key=ROOT.key, not_after=AT - DAY)
_NOT_A_CA = end_entity(ROOT, "Example Test Clients CA G1", sans=(), usage=())
_SERVERS_ONLY = subordinate_ca(ROOT, extra=[_eku(ExtendedKeyUsageOID.SERVER_AUTH)])
_TWO_DEEP = subordinate_ca(CLIENTS, "Example Test Services CA G1")
_CONSTRAINED = subordinate_ca(ROOT, extra=[_permit("other.example.com")])
_NO_CERT_SIGN = subordinate_ca(ROOT, without=[x509.KeyUsage])
_UNKNOWN = Extra(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=True)


@pytest.mark.parametrize(
    ("leaf", "below", "anchors", "code", "blamed"),
    [
        (end_entity(CLIENTS, not_after=AT - DAY / 2), [CLIENTS], [ROOT], "chain.expired", "orders"),
        (end_entity(CLIENTS, not_before=AT + DAY), [CLIENTS], [ROOT], "chain.not-yet-valid", "orders"),
        (LEAF, [CLIENTS], [_EXPIRED_ROOT], "chain.expired", "Root CA"),
        (LEAF, [CLIENTS], [root_ca()], "chain.unknown-issuer", "Clients CA"),
        (LEAF, [CLIENTS], [root_ca("Other Root")], "chain.unknown-issuer", "Clients CA"),
        (LEAF, [], [ROOT], "chain.unknown-issuer", "orders"),
        (LEAF, [CLIENTS], [], "chain.no-anchor", "anchor"),
        (end_entity(CLIENTS, usage=()), [CLIENTS], [ROOT], "chain.purpose", "not stated"),
        (end_entity(CLIENTS, usage=("2.5.29.37.0",)), [CLIENTS], [ROOT], "chain.purpose", "anyExtendedKeyUsage"),
        (end_entity(_SERVERS_ONLY), [_SERVERS_ONLY], [ROOT], "chain.purpose", "Clients CA"),
        (end_entity(CLIENTS, sans=()), [CLIENTS], [ROOT], "chain.no-san", "orders"),
        (CLIENTS, [], [ROOT], "chain.is-a-ca", "Clients CA"),
        (LEAF, [], [LEAF], "chain.not-a-ca", "orders"),
        (end_entity(_NOT_A_CA), [_NOT_A_CA], [ROOT], "chain.not-a-ca", "Clients CA"),
        (end_entity(_NO_CERT_SIGN), [_NO_CERT_SIGN], [ROOT], "chain.not-a-ca", "keyCertSign"),
        (end_entity(_TWO_DEEP), [_TWO_DEEP, CLIENTS], [ROOT], "chain.path-length", "Clients CA"),
        (end_entity(CLIENTS, signer=key()), [CLIENTS], [ROOT], "chain.signature", "orders"),
        (end_entity(CLIENTS, without=[x509.AuthorityKeyIdentifier]), [CLIENTS], [ROOT], "chain.profile", "orders"),
        (end_entity(_CONSTRAINED), [_CONSTRAINED], [ROOT], "chain.name-constraint", "constraint"),
        (end_entity(CLIENTS, extra=[_UNKNOWN]), [CLIENTS], [ROOT], "chain.untrusted", "1.2.3.4"),
    ],
)
def test_refusals_name_the_certificate_and_the_reason(
    leaf: Issued, below: Sequence[Issued], anchors: Sequence[Issued], code: str, blamed: str
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        _verify(leaf, below, anchors)
    assert caught.value.code == code
    assert caught.value.exit_code == 8
    assert blamed in caught.value.message


def test_a_circle_of_cas_ends() -> None:
    one, other = key(), key()
    first = subordinate_ca(root_ca("B", private_key=other), "A", private_key=one, path_length=None)
    second = subordinate_ca(root_ca("A", private_key=one), "B", private_key=other, path_length=None)
    with pytest.raises(VerificationFailed) as caught:
        _verify(end_entity(first), [first, second], [root_ca("C")])
    assert caught.value.code == "chain.path-length"


def test_the_right_generation_among_cas_of_one_name_is_found() -> None:
    older = subordinate_ca(ROOT)
    assert _verify(LEAF, [older, CLIENTS]).certificates[1] == CLIENTS.certificate
    assert _verify(LEAF, [older, CLIENTS], crls=[crl(older), crl(CLIENTS), crl(ROOT)]).certificates


def test_with_crls_every_ca_needs_a_current_one() -> None:
    assert _verify(LEAF, crls=[crl(ROOT), crl(CLIENTS)]).certificates
    assert _verify(LEAF, [], [CLIENTS], crls=[crl(CLIENTS)]).certificates


_URL, _OTHER_URL = "http://pki.example.com/1.crl", "http://pki.example.com/2.crl"
_PARTITION = Extra(
    x509.IssuingDistributionPoint(
        [x509.UniformResourceIdentifier(_OTHER_URL)],
        None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    ),
    critical=True,
)


@pytest.mark.parametrize(
    ("leaf", "crls", "code"),
    [
        (LEAF, [], "chain.crl-missing"),
        (LEAF, [crl(CLIENTS)], "chain.crl-missing"),
        (LEAF, [crl(ROOT)], "chain.crl-missing"),
        (LEAF, [crl(ROOT), crl(CLIENTS, revoked={LEAF.serial: None})], "chain.revoked"),
        (
            LEAF,
            [crl(ROOT), crl(CLIENTS), crl(CLIENTS, revoked={LEAF.serial: x509.ReasonFlags.superseded})],
            "chain.revoked",
        ),
        (LEAF, [crl(ROOT), crl(CLIENTS, revoked={LEAF.serial: x509.ReasonFlags.certificate_hold})], "chain.revoked"),
        (LEAF, [crl(ROOT, revoked={CLIENTS.serial: x509.ReasonFlags.ca_compromise}), crl(CLIENTS)], "chain.revoked"),
        (LEAF, [crl(ROOT), crl(CLIENTS, next_update=AT - DAY / 48)], "crl.expired"),
        (LEAF, [crl(ROOT), crl(CLIENTS, signer=key())], "crl.signature"),
        (LEAF, [crl(ROOT), crl(subordinate_ca(ROOT))], "crl.issuer"),
        (end_entity(CLIENTS, crl_urls=(_URL,)), [crl(ROOT), crl(CLIENTS, extra=[_PARTITION])], "chain.crl-missing"),
    ],
)
def test_missing_stale_forged_and_damning_crls_refuse(
    leaf: Issued, crls: Sequence[x509.CertificateRevocationList], code: str
) -> None:
    with pytest.raises(VerificationFailed) as caught:
        _verify(leaf, crls=crls)
    assert caught.value.code == code


def test_the_crl_of_a_namesake_does_not_count() -> None:
    """A CRL signed by another CA of the same name, listing nothing: it must not stand in for the real one."""
    impostor = root_ca("Example Test Clients CA G1")
    with pytest.raises(VerificationFailed) as caught:
        _verify(LEAF, crls=[crl(ROOT), crl(impostor)])
    assert caught.value.code == "crl.issuer"


MIDDLE = subordinate_ca(ROOT, "Example Test Policy CA G1", path_length=1)
BELOW = subordinate_ca(MIDDLE)


def test_a_sound_ca_chain() -> None:
    verify_ca_chain([BELOW.certificate, MIDDLE.certificate, ROOT.certificate], at=AT)
    verify_ca_chain([ROOT.certificate], at=AT)


_SHORT_ROOT = root_ca("Short Root", path_length=1)
_SHORT_MIDDLE = subordinate_ca(_SHORT_ROOT, "Short Middle", path_length=1)
_SHORT_BELOW = subordinate_ca(_SHORT_MIDDLE, "Short Below")


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        ([], "chain.empty"),
        ([BELOW, ROOT], "chain.unknown-issuer"),
        ([MIDDLE, BELOW, ROOT], "chain.unknown-issuer"),
        ([BELOW, MIDDLE], "chain.untrusted"),
        ([subordinate_ca(MIDDLE, signer=key()), MIDDLE, ROOT], "chain.signature"),
        ([LEAF, CLIENTS, ROOT], "chain.not-a-ca"),
        ([_SHORT_BELOW, _SHORT_MIDDLE, _SHORT_ROOT], "chain.path-length"),
        ([CLIENTS, _EXPIRED_ROOT], "chain.expired"),
        ([subordinate_ca(ROOT, not_before=AT + DAY), ROOT], "chain.not-yet-valid"),
        ([subordinate_ca(ROOT, without=[x509.KeyUsage]), ROOT], "chain.not-a-ca"),
    ],
)
def test_a_ca_chain_with_a_fault(chain: Sequence[Issued], code: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify_ca_chain([item.certificate for item in chain], at=AT)
    assert caught.value.code == code
