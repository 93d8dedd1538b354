"""No accepted request yields a certificate outside its profile: issued by the sandbox, judged by a checker that shares nothing with the engine.

The requests are changed at random, as in ``test_mutated_requests``; the profile is written as a file, as a person would write it.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typer.testing import CliRunner

from pkiops.cert.issue import Issuance
from pkiops.cert.order import Order
from pkiops.cli.app import app
from pkiops.clock import ManualClock
from pkiops.environment.load import load_file
from pkiops.errors import InputError, PolicyDenied
from pkiops.factory import Factory
from pkiops.ledger.interface import EntryState
from tests.mutated_csr import mutant
from tests.naive_profile import outside
from tests.raw_csr import Key, RawCsr, dns, spki_of, subject
from tests.sandbox_server import START, RunningSandbox, running_sandbox
from tests.seeded import SOAK

COUNT = 8_000 if SOAK else 120
FILE = """\
schema: 1
environment: naive
backend: {type: aws-private-ca, region: eu-west-1, account: "123456789012", sandbox: true}
ledger: {type: sqlite, path: naive.db}
publication:
  crl: {bucket: example-pki-naive-crl, host: pki.naive.example.com}
  trust: {bucket: example-pki-naive-trust}
authorities:
  root: {subject: {common_name: Naive Root CA G1}, key_algorithm: EC_prime256v1, validity: 20y, path_length: 1, crl: {validity: 90d}}
  clients: {issuer: root, subject: {common_name: Naive Clients CA G1}, validity: 5y, crl: {validity: 7d}}
profiles:
  service:
    authority: clients
    validity: {default: 30d, max: 90d}
    subject: {organization: Example Ltd, common_name: {from: request}}
    san:
      dns: ["*.svc.example.com", "**.deep.example.com", "*.*.two.example.com", exact.example.com, "*.xn--bcher-kva.example"]
      uri: ["spiffe://example.com/ns/*/sa/*", "spiffe://deep.example.com/**", "https://example.com/app/*"]
      ip: ["10.1.0.0/16", "192.0.2.7", "2001:db8::/32"]
      email: ["*@ops.example.com", "jane@*.example.org"]
  wide:
    authority: clients
    usage: [clientAuth, serverAuth]
    validity: {default: 30d, max: 90d}
    subject:
      organization: {from: request, patterns: ["Example *"]}
      organizational_unit: {from: names, template: "{dns.1} under {profile}"}
      common_name: {from: names, template: "{dns}"}
    san: {dns: ["**.svc.example.com"], wildcards: true}
    key_reuse: refuse
    limits: {per_name: 1, window: 1d, per_run: 2}
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def issuance(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuance]:
    folder = tmp_path_factory.mktemp("naive")
    (folder / "naive.yaml").write_text(FILE)
    settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
    with contextlib.chdir(folder):
        command = ["--environments", str(folder), "ca", "apply", "naive", "--yes"]
        applied = CliRunner().invoke(
            app, command, env=settings | {"PKIOPS_SANDBOX_URL": sandbox.url}, prog_name="pkiops"
        )
        assert applied.exit_code == 0, applied.output
        environment = load_file(Path("naive.yaml"))
        # waiting takes no time, and the sandbox stands still
        factory = Factory(environment, variables={"PKIOPS_SANDBOX_URL": sandbox.url}, clock=ManualClock(START))
        yield Issuance(
            environment=environment,
            backend=factory.backend,
            ledger=factory.ledger,
            clock=factory.clock,
            requester=factory.caller,
        )


def test_wildcards_and_subjects_of_every_origin(issuance: Issuance) -> None:
    key = ec.derive_private_key(10**60 + 99, ec.SECP256R1())
    asked = subject(("O", "Example Foods"), ("OU", "Admins"), ("CN", "root"), ("L", "Mars"))
    request = RawCsr(key=key, subject=asked, names=dns("*.Shop.svc.example.com"))
    order = Order(csr=request.der(), csr_source="a.csr", profile="wide")
    certificate = issuance.issue(order).certificate
    assert [(one.oid, one.value) for one in certificate.subject] == [
        (NameOID.ORGANIZATION_NAME, "Example Foods"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "shop under wide"),
        (NameOID.COMMON_NAME, "*.shop.svc.example.com"),
    ]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("*.shop.svc.example.com")]
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    assert issuance.issue(order).from_ledger
    others = {
        "policy.key-reuse": replace(request, names=dns("other.svc.example.com")),
        "policy.limit-per-name": replace(request, key=ec.derive_private_key(10**60 + 98, ec.SECP256R1())),
        "policy.subject-not-allowed": replace(
            request, subject=subject(("O", "Evil Ltd")), names=dns("x.svc.example.com")
        ),
    }
    for code, other in others.items():
        with pytest.raises(PolicyDenied) as caught:
            issuance.issue(replace(order, csr=other.der()))
        assert caught.value.code == code


def test_what_is_issued_is_within_the_profile(issuance: Issuance) -> None:
    seed = SystemRandom().randrange(2**32) if SOAK else 7
    rng = Random(seed)  # noqa: S311 - not for secrets
    keys: list[Key] = [ec.derive_private_key(number + 10**60, ec.SECP256R1()) for number in range(3)]
    keys += [
        ec.derive_private_key(10**60, ec.SECP384R1()),
        ec.derive_private_key(10**60, ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ]
    ends: Counter[str] = Counter()
    for number in range(COUNT):
        made = mutant(rng, keys)
        order = Order(csr=made.data, csr_source="a.csr", profile="service", request_id=str(number))
        told = f"seed {seed}, number {number}: {made.der.hex()}"
        try:
            issued = issuance.issue(order)
        except (InputError, PolicyDenied) as error:
            ends["refused" if isinstance(error, PolicyDenied) else "unreadable"] += 1
            continue
        ends["issued"] += 1
        assert made.genuine is not False, told
        key = next(one for one in keys if spki_of(one) in made.der)
        assert outside(issued.certificate, key.public_key(), issuance.clock.now()) == [], told
    states = Counter(one.state for one in issuance.ledger.entries("naive") if one.profile == "service")
    print(f"seed {seed}: {dict(ends)}")
    assert ends["issued"] >= COUNT / 8
    assert states[EntryState.ISSUED] == ends["issued"]
    assert states[EntryState.REFUSED] == ends["refused"] + ends["unreadable"]
