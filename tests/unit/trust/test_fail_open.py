"""Every way to fail open or to lock everyone out that is known of relying parties: no bundle and no file with it comes into being.

The cases are those of which real software was seen to let the wrong clients in, or to refuse all of them; each names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkiops.environment.models import Bundle, Environment, ExternalAuthority, Revocation, Target, TargetKind, Trust
from pkiops.errors import VerificationFailed
from pkiops.trust.bundle import build_bundle
from pkiops.trust.file_rules import require_sound_files
from pkiops.trust.render import render_target
from pkiops.trust.targets.description import read_description
from pkiops.trust.targets.interface import RenderedFile
from pkiops.trust.targets.registry import built_in
from pkiops.trust.targets.rendering import make_target
from pkiops.x509.certificate import fingerprint, load_certificate, pem
from pkiops.x509.crl import crl_der, crl_pem
from pkiops.x509.der import encode, object_identifier, sequence
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.builders import AT, Extra, Issued
from tests.fakes.authority import environment
from tests.unit.crl.world import with_bundle
from tests.unit.trust.test_bundle import Made, authority, crl_of

DAY = timedelta(days=1)
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
POINT = x509.UniformResourceIdentifier("http://pki.test.example.com/part.crl")


def partition(**limits: bool) -> x509.IssuingDistributionPoint:
    given = {
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
        **limits,
    }
    return x509.IssuingDistributionPoint(full_name=[POINT], relative_name=None, only_some_reasons=None, **given)


def without_number(ca: Issued) -> x509.CertificateRevocationList:
    return builders.crl(ca, number=None)


CRLS: dict[str, tuple[Callable[[Issued], x509.CertificateRevocationList], str]] = {
    # every OpenSSL, BoringSSL, Erlang and Java consumer refuses all; GnuTLS and etcd let revoked clients in
    "expired": (lambda ca: builders.crl(ca, next_update=AT - DAY / 2, this_update=AT - DAY), "crl.expired"),
    "expires on its way": (lambda ca: builders.crl(ca, next_update=AT + DAY / 48), "crl.expires-soon"),
    "from the future": (lambda ca: builders.crl(ca, this_update=AT + DAY / 24), "crl.not-yet-valid"),
    # an unverified download before the valid one refuses everybody
    "of another key of the same name": (lambda ca: builders.crl(builders.root_ca(ca.name)), "crl.issuer"),
    "forged": (lambda ca: builders.crl(ca, signer=builders.key()), "crl.signature"),
    "forged, without a key identifier": (
        lambda ca: builders.crl(ca, signer=builders.key(), without=[x509.AuthorityKeyIdentifier]),
        "crl.signature",
    ),
    "of another CA": (lambda ca: builders.crl(builders.root_ca("Other")), "crl.issuer"),
    # with two CAs of one name OpenSSL takes the first: "CRL signature failure"
    "without a key identifier": (
        lambda ca: builders.crl(ca, without=[x509.AuthorityKeyIdentifier]),
        "crl.incomplete",
    ),
    # signed right, but OpenSSL looks for it by this identifier
    "with the key identifier of another": (
        lambda ca: builders.crl(
            ca, extra=[Extra(x509.AuthorityKeyIdentifier.from_issuer_public_key(builders.key().public_key()))]
        ),
        "crl.key-identifier",
    ),
    "without a number": (without_number, "crl.incomplete"),
    # works only with all partitions and leaves that name each: "different CRL scope" for everybody else
    "of one partition": (
        lambda ca: builders.crl(ca, extra=[Extra(partition(), critical=True)]),
        "crl.partitioned",
    ),
    "for CAs only": (
        lambda ca: builders.crl(ca, extra=[Extra(partition(only_contains_ca_certs=True), critical=True)]),
        "crl.partitioned",
    ),
    "indirect": (
        lambda ca: builders.crl(ca, extra=[Extra(partition(indirect_crl=True), critical=True)]),
        "crl.indirect",
    ),
    "a delta": (lambda ca: builders.crl(ca, extra=[Extra(x509.DeltaCRLIndicator(1), critical=True)]), "crl.delta"),
    "with a critical extension nobody knows": (
        lambda ca: builders.crl(
            ca, extra=[Extra(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=True)]
        ),
        "crl.unknown-critical-extension",
    ),
}
WHOSE = ("root", "clients")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.mark.parametrize("whose", WHOSE)
@pytest.mark.parametrize("case", CRLS)
def test_a_crl_that_is(made: Made, case: str, whose: str) -> None:
    make, code = CRLS[case]
    good = made.crls[f"{whose}-g1"]
    crl = make(made.cas[whose])
    made.crls[f"{whose}-g1"] = replace(good, crl=crl, der=crl_der(crl))
    assert made.refused() == code


def test_a_crl_without_a_next_update_cannot_even_be_taken_for_current(made: Made) -> None:
    good = made.crls["clients-g1"]
    der = without_next_update(made.cas["clients"])
    made.crls["clients-g1"] = replace(good, crl=x509.load_der_x509_crl(der), der=der)
    assert made.refused() == "crl.no-next-update"


def without_next_update(ca: Issued) -> bytes:
    """A CRL of which the optional field is left out; the library writes none."""
    assert isinstance(ca.key, ec.EllipticCurvePrivateKey)
    algorithm = sequence(object_identifier("1.2.840.10045.4.3.2"))
    body = sequence(encode(0x02, b"\x01"), algorithm, ca.name.public_bytes(), encode(0x17, b"260601100000Z"))
    signature = ca.key.sign(body, ec.ECDSA(hashes.SHA256()))
    return sequence(body, algorithm, encode(0x03, b"\0" + signature))


@pytest.mark.parametrize("name", ["root-g1", "clients-g1"])
def test_one_crl_that_is_missing_locks_everyone_out_of_nginx(made: Made, name: str) -> None:
    del made.crls[name]
    assert made.refused() == "trust.crl-missing"


def test_a_ca_in_the_middle_that_nobody_knows_has_no_crl_either(made: Made) -> None:
    root = made.cas["root"]
    middle = builders.subordinate_ca(root, "Middle", path_length=1)
    made.add("clients", builders.subordinate_ca(middle, "Lower"), middle, root, generation=2)
    assert made.refused() == "trust.chain-incomplete"
    made.environment = with_bundle(made.environment, revocation=Revocation.LEAF)
    assert made.build().intermediate_depth == 2, "who looks at the client's issuer only does not miss it"
    made.environment = with_bundle(made.environment, revocation=Revocation.NONE, include_intermediates=True)
    assert made.refused() == "trust.chain-incomplete"


def key_usage(*, cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, cert_sign, True, False, False)


UNKNOWN_CRITICAL = Extra(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=True)
ANCHORS: dict[str, tuple[Callable[[], Issued], str]] = {
    # Go trusts a listed end entity by itself
    "an end entity": (
        lambda: builders.root_ca("Leaf", extra=[Extra(x509.BasicConstraints(False, None), critical=True)]),
        "trust.not-a-ca",
    ),
    "without basic constraints": (
        lambda: builders.root_ca("Bare", without=[x509.BasicConstraints]),
        "trust.not-a-ca",
    ),
    "that may not sign certificates": (
        lambda: builders.root_ca("Signer", extra=[Extra(key_usage(cert_sign=False), critical=True)]),
        "trust.not-a-ca",
    ),
    # Python since 3.13 refuses it
    "that does not say what it may sign": (
        lambda: builders.root_ca("Silent", without=[x509.KeyUsage]),
        "trust.not-a-ca",
    ),
    # Java trusts it for ever, Envoy refuses the clients of its successor
    "expired": (lambda: builders.root_ca("Old", not_after=AT - DAY), "trust.expired"),
    "not valid yet": (lambda: builders.root_ca("Early", not_before=AT + DAY), "trust.expired"),
    # half of all servers: "unable to get issuer certificate"
    "that only has the name of its issuer": (
        lambda: builders.subordinate_ca(builders.root_ca("Twin"), "Twin"),
        "trust.anchor-not-root",
    ),
    # OpenSSL refuses all below it, Java accepts
    "for servers only": (
        lambda: builders.root_ca("Servers", extra=[Extra(x509.ExtendedKeyUsage([SERVER_AUTH]))]),
        "trust.purpose",
    ),
    # "CA certificate key too weak", which those of the mirror never are
    "with a weak RSA key": (
        lambda: builders.root_ca(private_key=rsa.generate_private_key(65_537, 1024)),  # noqa: S505
        "trust.weak-key",
    ),
    "with a weak EC key": (
        lambda: builders.root_ca(private_key=ec.generate_private_key(ec.SECP192R1())),
        "trust.weak-key",
    ),
    # "unhandled critical extension"
    "with a critical extension nobody knows": (
        lambda: builders.root_ca(extra=[UNKNOWN_CRITICAL]),
        "trust.unknown-critical-extension",
    ),
}


@pytest.mark.parametrize("case", ANCHORS)
def test_an_anchor_that_is(made: Made, case: str) -> None:
    make, code = ANCHORS[case]
    made.authorities[0] = authority(made.authorities[0], "root", make())
    assert made.refused() == code


@pytest.mark.parametrize(
    "case", ["an end entity", "that may not sign certificates", "that does not say what it may sign"]
)
def test_an_intermediate_that_is_no_ca(made: Made, case: str) -> None:
    root = made.cas["root"]
    extra = {
        "an end entity": [Extra(x509.BasicConstraints(False, None), critical=True)],
        "that may not sign certificates": [Extra(key_usage(cert_sign=False), critical=True)],
    }.get(case, [])
    odd = builders.subordinate_ca(root, "Odd", extra=extra, without=[] if extra else [x509.KeyUsage])
    made.authorities[1] = authority(made.authorities[1], "clients", odd, root)
    assert made.refused() == "trust.not-a-ca"


def test_an_intermediate_with_a_critical_extension_nobody_knows(made: Made) -> None:
    root = made.cas["root"]
    made.authorities[1] = authority(
        made.authorities[1], "clients", builders.subordinate_ca(root, extra=[UNKNOWN_CRITICAL]), root
    )
    assert made.refused() == "trust.unknown-critical-extension"


def test_an_intermediate_that_is_signed_over_sha_1(made: Made) -> None:
    """Cryptography signs nothing with SHA-1: the algorithm is changed in a certificate, whose signature nobody looks at here."""
    root = builders.root_ca(private_key=rsa.generate_private_key(65_537, 2048))
    sound = builders.subordinate_ca(root)
    der = sound.certificate.public_bytes(Encoding.DER)
    changed = der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
    made.authorities = [
        authority(made.authorities[0], "root", root),
        authority(made.authorities[1], "clients", replace(sound, certificate=load_certificate(changed, "it")), root),
    ]
    assert made.refused() == "trust.weak-signature"


def test_an_expired_intermediate_beats_the_good_one_that_the_client_sends(made: Made) -> None:
    root = made.cas["root"]
    old = builders.subordinate_ca(root, "Old", not_after=AT - DAY)
    made.add("clients", old, root, generation=2)
    assert made.refused() == "trust.expired"


def test_java_trusts_clients_of_a_listed_ca_for_servers_only(tmp_path: Path) -> None:
    made = Made(tmp_path, with_bundle(environment(), revocation=Revocation.NONE, include_intermediates=True))
    root = made.cas["root"]
    servers = builders.subordinate_ca(root, "Servers", extra=[Extra(x509.ExtendedKeyUsage([SERVER_AUTH]))])
    made.add("clients", servers, root, generation=2)
    assert [one.name for one in made.build().intermediates] == ["clients-g1"]


def test_a_revoked_intermediate_is_trusted_where_each_one_listed_is_an_anchor(tmp_path: Path) -> None:
    made = Made(tmp_path, with_bundle(environment(), include_intermediates=True))
    made.crls["root-g1"] = crl_of("root-g1", made.cas["root"], revoked={made.cas["clients"].serial: None})
    assert made.build().intermediates == ()


@pytest.mark.parametrize("kind", [TargetKind.GO, TargetKind.JAVA])
def test_where_each_one_listed_is_an_anchor_a_crl_of_the_root_goes_unseen(tmp_path: Path, kind: TargetKind) -> None:
    made = Made(tmp_path, with_bundle(environment(), include_intermediates=True))
    with pytest.raises(VerificationFailed) as caught:
        render_target(made.build(), kind.value, built_in(kind), "/x")
    assert caught.value.code == "trust.intermediates"


def test_two_cas_of_one_name_need_key_identifiers_below_them(made: Made) -> None:
    root = made.cas["root"]
    bare = builders.subordinate_ca(root, "Bare", without=[x509.AuthorityKeyIdentifier])
    made.add("clients", bare, root, generation=2)
    made.build()  # alone, everybody finds its issuer
    made.environment = with_generation(made.environment, 2)
    made.authorities[1] = replace(made.authorities[1], generation=1)
    made.add("root", builders.root_ca(root.name), generation=2)
    assert made.refused() == "trust.key-identifier"


def with_generation(env: Environment, generation: int) -> Environment:
    return replace(
        env, authorities={**env.authorities, "root": replace(env.authorities["root"], generation=generation)}
    )


def test_a_ca_that_names_the_key_of_another_is_not_found_by_openssl(made: Made) -> None:
    root = made.cas["root"]
    other = x509.AuthorityKeyIdentifier.from_issuer_public_key(builders.key().public_key())
    made.add("clients", builders.subordinate_ca(root, "Odd", extra=[Extra(other)]), root, generation=2)
    assert made.refused() == "trust.key-identifier"


def test_one_certificate_twice_is_refused_by_kubernetes(made: Made) -> None:
    made.add("clients", made.cas["clients"], made.cas["root"], generation=2)
    assert made.refused() == "trust.duplicate"


def test_one_name_and_key_under_two_names_would_be_two_crls_of_one_ca(made: Made) -> None:
    clients, root = made.cas["clients"], made.cas["root"]
    again = builders.subordinate_ca(root, clients.name, private_key=clients.key, not_before=AT - 20 * DAY)
    made.add("clients", again, root, generation=2)
    assert made.refused() == "trust.duplicate"


class Outside(Made):
    """Two CAs below a root that is kept elsewhere, each installed with the certificate that the root had then."""

    def __init__(self, folder: Path, old: Issued, new: Issued, revocation: Revocation = Revocation.CHAIN) -> None:
        super().__init__(folder)
        base = self.environment.authorities["clients"]
        bundle = Bundle(
            anchors=("company",), targets={"pem": Target()}, revocation=revocation, include_intermediates=True
        )
        self.environment = replace(
            self.environment,
            authorities={"clients": replace(base, issuer="company"), "partners": replace(base, issuer="company")},
            external_authorities={"company": ExternalAuthority()},
            profiles={},
            trust=Trust(bundles={"services": bundle}),
        )
        self.below = {"clients": builders.subordinate_ca(old, "C"), "partners": builders.subordinate_ca(new, "P")}
        like = self.authorities[0]
        self.authorities = [
            authority(like, "clients", self.below["clients"], old),
            authority(like, "partners", self.below["partners"], new),
        ]
        self.crls = {f"{label}-g1": crl_of(label, ca) for label, ca in self.below.items()}
        self.crls["company-g1"] = crl_of("company-g1", new)


def test_of_a_root_that_was_renewed_with_its_key_the_newest_certificate_stands_for_both(tmp_path: Path) -> None:
    old = builders.root_ca("Company Root")
    new = builders.root_ca("Company Root", private_key=old.key, not_before=AT - 9 * DAY)
    for first, second in ((old, new), (new, old)):
        made = Outside(tmp_path / str(first is old), first, second)
        bundle = made.build()
        assert [one.certificate for one in bundle.anchors] == [new.certificate], "one name, one alias in a Java store"
        assert [one.name for one in bundle.crls] == ["company-g1", "clients-g1", "partners-g1"]
        # a pin of the newest leaves out none of those below
        pinned = ExternalAuthority(sha256=fingerprint(new.certificate))
        made.environment = replace(made.environment, external_authorities={"company": pinned})
        assert made.build().crls == bundle.crls
        # what the root revokes is seen through both
        revoked = {one.serial: None for one in made.below.values()}
        made.crls["company-g1"] = crl_of("company-g1", new, revoked=revoked)
        assert made.build().intermediates == ()


def test_two_roots_in_one_place_are_not_both_trusted(tmp_path: Path) -> None:
    first, second = builders.root_ca("Company Root"), builders.root_ca("Company Root")
    made = Outside(tmp_path, first, second, Revocation.NONE)
    assert made.refused() == "trust.two-in-one"
    pinned = ExternalAuthority(sha256=fingerprint(first.certificate))
    made.environment = replace(made.environment, external_authorities={"company": pinned})
    bundle = made.build()
    assert [one.certificate for one in bundle.certificates] == [first.certificate, made.below["clients"].certificate]


ROOT = builders.root_ca()
CERTIFICATE, CRL = pem(ROOT.certificate), crl_pem(builders.crl(ROOT))
KEY = private_key_pem(ROOT.key)
FILES = {
    # Envoy takes it for "revocation off"
    "an empty file of CRLs": ("crl.pem", b"", "trust.file-empty"),
    "a file of CRLs with a comment only": ("crl.pem", b"# no CRLs yet\n", "trust.file-empty"),
    "an empty CRL in DER": ("crls/root.crl", b"", "trust.file-empty"),
    "an empty file of CAs": ("ca.pem", b"\n", "trust.file-empty"),
    # nginx, HAProxy, Apache and PostgreSQL trust the certificate
    "a certificate among the CRLs": ("crl.pem", CRL + CERTIFICATE, "trust.file-mixed"),
    "a CRL among the certificates": ("ca.PEM", CERTIFICATE + CRL, "trust.file-mixed"),
    # nginx does not load it, Go loads nothing of it
    "a trusted certificate of OpenSSL": (
        "ca.crt",
        CERTIFICATE.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
        "trust.file-mixed",
    ),
    "a private key": ("ca.pem", CERTIFICATE + KEY, "trust.private-key"),
    "a private key in a configuration": ("secret.yaml", b"key: |\n  " + KEY, "trust.private-key"),
}


@pytest.mark.parametrize("case", FILES)
def test_no_file_is(case: str) -> None:
    path, data, code = FILES[case]
    with pytest.raises(VerificationFailed) as caught:
        require_sound_files([RenderedFile(path, data)], "t")
    assert caught.value.code == code
    assert path in caught.value.message


def test_what_is_sound_passes() -> None:
    pairs = {"ca.pem": CERTIFICATE, "crl.pem": b"# root\n" + CRL, "a.crl": b"\x30\x00", "both.yaml": CERTIFICATE + CRL}
    named = b"\x30\x20-----BEGIN PRIVATE KEY-----"  # as a name in DER may spell it
    require_sound_files([RenderedFile(path, data) for path, data in {**pairs, "n.crl": named}.items()], "t")


def test_the_same_holds_for_a_target_of_ones_own(made: Made) -> None:
    description = read_description(
        b"title: t\nrevocations: [chain]\nfiles: {ca.pem: authorities, crl.pem: crls, all.pem: all.pem.j2}\n", "t"
    )
    target = make_target("own", description, {"all.pem.j2": "{{ ca_pem }}{{ crl_pem }}"})
    bundle = build_bundle(made.environment, "services", made.authorities, made.crls, at=AT)
    with pytest.raises(VerificationFailed, match=r"all\.pem would hold CERTIFICATE, X509 CRL"):
        render_target(bundle, "own", target, "/x")
