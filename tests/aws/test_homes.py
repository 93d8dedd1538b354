"""Authorities in several accounts and regions, over HTTP against the sandbox, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pkiops.aws import AwsAccess, AwsClients, CallerIdentity
from pkiops.clock import ManualClock
from pkiops.environment.index import decode_index, trusted_entry
from pkiops.environment.load import load_file
from pkiops.errors import AccessDenied, GuardRefused, NotFound, VerificationFailed
from pkiops.factory import Factory
from pkiops.sandbox.faults import fault
from pkiops.sandbox.status import ask
from pkiops.sandbox.traffic import Hindrances
from tests.aws.spread import HOMES, OTHER, ROLE, SAMPLE, Spread, assert_spread, client_of, found_in, spread_on
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox

ROOT_HOME, CLIENTS_HOME, DEVICES_HOME = HOMES
CLIENTS_BACKEND = f'      region: eu-central-1\n      account: "{OTHER}"\n      role_arn: {ROLE}'


@pytest.fixture
def spread(tmp_path: Path) -> Iterator[Spread]:
    with spread_on(tmp_path) as running:
        yield running


@pytest.fixture
def applied(spread: Spread) -> Spread:
    spread.done("ca", "apply", "spread", "--yes")
    return spread


def statements(sandbox: RunningSandbox) -> dict[str, Any]:
    policy = json.loads(sandbox.client("s3").get_bucket_policy(Bucket="example-pki-spread-crl")["Policy"])
    return {one["Sid"]: one for one in policy["Statement"]}


def test_plan_says_where_each_authority_will_live_and_makes_nothing(spread: Spread) -> None:
    planned = spread.run("ca", "plan", "spread", "--detailed-exitcode")
    assert planned.exit_code == 5
    assert f"    home: account {OTHER}, eu-central-1\n" in planned.stdout
    assert f"    home: account {ACCOUNT}, us-east-1\n" in planned.stdout
    assert planned.stdout.count("home: ") == 2
    asked = spread.run("ca", "apply", "spread")
    assert asked.exit_code == 9
    assert f"Apply this to accounts {ACCOUNT} and {OTHER}" in asked.stderr
    assert "USD +1200 a month" in planned.stdout
    assert all(found_in(spread.sandbox, *home) == [] for home in HOMES)


def test_each_authority_is_made_in_its_home_and_signed_by_the_root_of_another(applied: Spread) -> None:
    assert_spread(applied.sandbox)
    (root,) = found_in(applied.sandbox, *ROOT_HOME)
    for home in (CLIENTS_HOME, DEVICES_HOME):
        client = client_of(applied.sandbox, *home)
        answer = client.get_certificate_authority_certificate(CertificateAuthorityArn=applied.arn(home))
        (above,) = x509.load_pem_x509_certificates(answer["CertificateChain"].encode())
        x509.load_pem_x509_certificate(answer["Certificate"].encode()).verify_directly_issued_by(above)
        assert above.serial_number == int(root["Serial"])
        # nothing was shared for it
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_policy(ResourceArn=applied.arn(home))
    again = applied.done("ca", "apply", "spread", "--yes")
    assert "nothing to do" in again.stdout
    assert again.stdout.count(f"(account {OTHER}, eu-central-1)") == 1
    assert applied.run("ca", "plan", "spread", "--detailed-exitcode").exit_code == 0


def test_the_one_bucket_lets_the_service_of_every_home_and_the_keeper_elsewhere_write(applied: Spread) -> None:
    found = statements(applied.sandbox)
    condition = found["PkiopsPrivateCaWritesCrls"]["Condition"]
    assert condition["StringEquals"]["aws:SourceAccount"] == [ACCOUNT, OTHER]
    assert condition["ArnLike"]["aws:SourceArn"] == [
        f"arn:aws:acm-pca:eu-central-1:{OTHER}:certificate-authority/*",
        f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/*",
        f"arn:aws:acm-pca:us-east-1:{ACCOUNT}:certificate-authority/*",
    ]
    keepers = found["PkiopsKeepersOfOtherAccounts"]
    assert keepers["Principal"] == {"AWS": f"arn:aws:iam::{OTHER}:root"}
    assert keepers["Condition"] == {"ArnEquals": {"aws:PrincipalArn": ROLE}}


def test_a_home_in_a_region_that_is_off_by_default_writes_as_the_service_of_that_region(spread: Spread) -> None:
    spread.edit(("{region: us-east-1}", "{region: eu-south-1}"))
    spread.done("ca", "apply", "spread", "--yes")
    assert found_in(spread.sandbox, ACCOUNT, "eu-south-1")[0]["Status"] == "ACTIVE"
    services = statements(spread.sandbox)["PkiopsPrivateCaWritesCrls"]["Principal"]["Service"]
    assert services == ["acm-pca.amazonaws.com", "acm-pca.eu-south-1.amazonaws.com"]


def issue(spread: Spread, profile: str, san: str, name: str) -> None:
    spread.done(
        "cert", "request", "spread", "--profile", profile, "--san", san, "--key", f"{name}.key", "--csr", f"{name}.csr"
    )
    spread.done("cert", "issue", "spread", "--profile", profile, "--csr", f"{name}.csr", "--output", f"{name}.pem")


def test_leaves_below_every_home_are_issued_revoked_and_in_the_published_crls(applied: Spread) -> None:
    issue(applied, "service", "dns:a.svc.spread.example.com", "a")
    issue(applied, "device", "uri:spiffe://spread.example.com/device/1", "d")
    assert len(x509.load_pem_x509_certificates(Path("a.pem").read_bytes())) == 2
    applied.done("cert", "verify", "a.pem", "--env", "spread")
    applied.done("cert", "revoke", "spread", "a.pem", "--reason", "keyCompromise", "--yes")
    published = json.loads(applied.done("crl", "publish", "spread", "--format", "json").stdout)
    assert {one["authority"]: one["entries"] for one in published["crls"]} == {"root": 0, "clients": 1, "devices": 0}
    assert applied.run("cert", "verify", "a.pem", "--env", "spread").exit_code == 8
    applied.done("cert", "verify", "d.pem", "--env", "spread")
    applied.done("trust", "render", "spread", "--to", "trust")
    rendered = Path("trust/services/nginx")
    assert rendered.is_dir()
    texts = [path.read_bytes() for path in rendered.iterdir() if b"X509 CRL" in path.read_bytes()]
    assert len(texts) == 1
    assert texts[0].count(b"BEGIN X509 CRL") == 3


def denying_roles(*calls: int) -> Hindrances:
    """A service that refuses these calls of AssumeRole, counted from 1."""
    return Hindrances(faults=tuple(fault(f"AssumeRole:{call}:before:AccessDenied") for call in calls))


def test_an_issuer_needs_the_home_of_its_ca_alone(tmp_path: Path) -> None:
    with spread_on(tmp_path, hindrances=denying_roles(*range(2, 40))) as spread:
        spread.done("ca", "apply", "spread", "--yes")
        issue(spread, "device", "uri:spiffe://spread.example.com/device/1", "d")
        spread.done(
            *("cert", "request", "spread", "--profile", "service", "--san", "dns:a.svc.spread.example.com"),
            *("--key", "a.key", "--csr", "a.csr"),
        )
        refused = spread.run("cert", "issue", "spread", "--profile", "service", "--csr", "a.csr")
        assert refused.exit_code == 6
        assert f"account {OTHER}, eu-central-1: AssumeRole for {ROLE}: AccessDenied" in refused.stderr


def test_inventory_cost_and_show_name_every_home(applied: Spread) -> None:
    body = json.loads(applied.done("inventory", "export", "spread", "--format", "json").stdout)
    assert [(one["account"], one["region"]) for one in body["sources"]["authorities"]["homes"]] == list(HOMES)
    assert {one["authority"]: one["reference"].split(":")[3:5] for one in body["authorities"]} == {
        "root": [REGION, ACCOUNT],
        "clients": ["eu-central-1", OTHER],
        "devices": ["us-east-1", ACCOUNT],
    }
    bill = json.loads(applied.done("ca", "cost", "spread", "--format", "json").stdout)
    lines = bill["environments"][0]["lines"]
    assert [(one["account"], one["region"], one["usd_month"]) for one in lines] == [(*home, 400.0) for home in HOMES]
    assert "spread in account 444455556666, eu-central-1: USD 400.00" in applied.done("ca", "cost", "spread").stdout
    shown = json.loads(applied.done("ca", "show", "spread", "--format", "json").stdout)
    assert [(one["account"], one["region"]) for one in shown["authorities"]] == list(HOMES)
    tree = applied.done("ca", "show", "spread").stdout
    assert f"in account {OTHER}, eu-central-1\n" in tree
    assert "NOT WHERE" not in tree


def test_prices_of_a_region_count_there_only(applied: Spread) -> None:
    Path("prices.json").write_text('{"regions": {"eu-central-1": {"authority_month": {"GENERAL_PURPOSE": 500}}}}')
    bill = json.loads(applied.done("ca", "cost", "spread", "--prices", "prices.json", "--format", "json").stdout)
    assert [one["usd_month"] for one in bill["environments"][0]["lines"]] == [400.0, 500.0, 400.0]


def test_strangers_are_reported_wherever_they_are(applied: Spread) -> None:
    client = client_of(applied.sandbox, *CLIENTS_HOME)
    foreign = client.create_certificate_authority(
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "Somebody Else"},
        },
        CertificateAuthorityType="ROOT",
    )["CertificateAuthorityArn"]
    planned = applied.done("ca", "plan", "spread").stdout
    assert f"? unmanaged {foreign}: Somebody Else" in planned


def test_the_index_names_every_home_and_is_believed_in_each_alone(applied: Spread) -> None:
    s3 = applied.sandbox.client("s3")
    data = s3.get_object(Bucket="example-pki-spread-trust", Key="spread/index.json")["Body"].read()
    index = decode_index(data)
    pin = json.loads(applied.done("ca", "show", "spread", "--format", "json").stdout)["authorities"][0]["sha256"]
    applied.edit(("    key_algorithm: EC_secp384r1\n", f"    key_algorithm: EC_secp384r1\n    sha256: {pin}\n"))
    environment = load_file(applied.folder / "environments" / "spread.yaml")
    for label, home in zip(("root", "clients", "devices"), HOMES, strict=True):
        assert trusted_entry(index, environment, label, at=START).reference == applied.arn(home)
    swapped = tuple(
        replace(one, reference=one.reference.replace("eu-central-1", "us-east-1")) for one in index.authorities
    )
    with pytest.raises(VerificationFailed) as caught:
        trusted_entry(replace(index, authorities=swapped), environment, "clients", at=START)
    assert caught.value.code == "index.foreign"


def test_a_home_that_is_changed_in_the_file_needs_a_new_generation(applied: Spread) -> None:
    applied.edit(("{region: us-east-1}", "{region: eu-west-2}"), ("region: eu-central-1", "region: us-west-2"))
    refused = applied.run("ca", "apply", "spread", "--yes")
    assert refused.exit_code == 9
    planned = applied.done("ca", "plan", "spread").stdout
    assert planned.count("a CA never moves: needs a new generation (generation: 2") == 2
    assert f"home: account {OTHER}, eu-central-1 -> account {OTHER}, us-west-2" in refused.stderr
    assert found_in(applied.sandbox, OTHER, "us-west-2") == []
    assert found_in(applied.sandbox, ACCOUNT, "eu-west-2") == []


def test_an_authority_moves_by_a_new_generation_and_the_old_home_stays_in_sight(applied: Spread) -> None:
    issue(applied, "service", "dns:a.svc.spread.example.com", "a")
    applied.edit(
        (CLIENTS_BACKEND, "      region: eu-central-1"),
        ("    subject: {common_name: Example Spread Clients CA G1", "    generation: 2\n    subject: {common_name: Example Spread Clients CA G2"),
    )  # fmt: skip
    blocked = applied.run("ca", "plan", "spread")
    assert "is an older generation of it, in a home that the file does not name" in blocked.stdout
    former = f'  former_homes:\n    - {{region: eu-central-1, account: "{OTHER}", role_arn: "{ROLE}"}}\n'
    applied.edit(("  sandbox: true\n", f"  sandbox: true\n{former}"))
    applied.done("ca", "apply", "spread", "--yes")
    assert found_in(applied.sandbox, ACCOUNT, "eu-central-1")[0]["Status"] == "ACTIVE"
    assert len(found_in(applied.sandbox, OTHER, "eu-central-1")) == 1
    issue(applied, "service", "dns:b.svc.spread.example.com", "b")
    issue(applied, "device", "uri:spiffe://spread.example.com/device/1", "d")
    published = json.loads(applied.done("crl", "publish", "spread", "--format", "json").stdout)
    assert len(published["crls"]) == 4
    applied.done("cert", "revoke", "spread", "a.pem", "--reason", "superseded", "--yes")
    applied.done("cert", "verify", "b.pem", "--env", "spread")


def test_a_pinned_arn_must_be_of_the_authoritys_own_home(applied: Spread) -> None:
    arn = applied.arn(CLIENTS_HOME)
    wrong = arn.replace("eu-central-1", REGION)
    applied.edit((CLIENTS_BACKEND, f"{CLIENTS_BACKEND}\n    arn: {wrong}"))
    refused = applied.run("ca", "plan", "spread")
    assert refused.exit_code == 3
    assert "authorities.clients.arn: this CA is not in account 444455556666 and region eu-central-1" in refused.stderr
    applied.edit((wrong, arn))
    applied.done("ca", "plan", "spread")


def test_tags_in_the_wrong_home_make_no_authority(applied: Spread) -> None:
    """Whoever may tag CAs in one account must not be able to take the place of an authority in another."""
    clients = client_of(applied.sandbox, *CLIENTS_HOME)
    tags = [{"Key": "pkiops:authority", "Value": "devices"}]
    clients.tag_certificate_authority(CertificateAuthorityArn=applied.arn(CLIENTS_HOME), Tags=tags)
    issue(applied, "device", "uri:spiffe://spread.example.com/device/1", "d")
    refused = applied.run("ca", "plan", "spread")
    assert refused.exit_code == 9
    assert applied.arn(CLIENTS_HOME) in refused.stderr
    assert applied.arn(DEVICES_HOME) in refused.stderr
    found = json.loads(applied.done("ca", "doctor", "spread", "--no-probe", "--format", "json").stdout)["findings"]
    assert {"authority.duplicate", "authority.elsewhere"} <= {one["code"] for one in found}
    # its twin gone, it still is not where the file says
    devices = client_of(applied.sandbox, *DEVICES_HOME)
    devices.untag_certificate_authority(CertificateAuthorityArn=applied.arn(DEVICES_HOME), Tags=tags)
    published = applied.run("crl", "publish", "spread")
    assert "is not in account 123456789012, us-east-1, where the file says it is" in published.stderr
    blocked = applied.run("ca", "plan", "spread").stdout
    assert f"home: account {OTHER}, eu-central-1 -> account {ACCOUNT}, us-east-1" in blocked


def test_adopting_in_another_home(applied: Spread) -> None:
    arn, client = applied.arn(CLIENTS_HOME), client_of(applied.sandbox, *CLIENTS_HOME)
    tags = client.list_tags(CertificateAuthorityArn=arn)["Tags"]
    client.untag_certificate_authority(CertificateAuthorityArn=arn, Tags=tags)
    wrong = applied.run("ca", "adopt", "spread", "devices", arn, "--yes")
    assert wrong.exit_code == 9
    applied.done("ca", "adopt", "spread", "clients", arn, "--yes")
    assert_spread(applied.sandbox)


def test_a_role_that_may_not_be_assumed_stops_apply_before_anything_is_made(tmp_path: Path) -> None:
    with spread_on(tmp_path, hindrances=denying_roles(1)) as spread:
        refused = spread.run("ca", "apply", "spread", "--yes")
        assert refused.exit_code == 6
        assert f"error: account {OTHER}, eu-central-1: AssumeRole for {ROLE}: AccessDenied" in refused.stderr
        assert spread.sandbox.client("s3").list_buckets()["Buckets"] == []
        assert found_in(spread.sandbox, *ROOT_HOME) == []


def test_a_role_of_another_account_than_the_homes_is_refused_at_the_first_call(spread: Spread) -> None:
    environment = load_file(SAMPLE)
    clients = environment.authorities["clients"]
    assert clients.backend is not None
    # a file never says this: validate refuses it; what STS answers is looked at all the same
    wrong = replace(clients, backend=replace(clients.backend, role_arn="arn:aws:iam::999988887777:role/pki-clients"))
    odd = replace(environment, authorities={**environment.authorities, "clients": wrong})

    def factory() -> Factory:
        return Factory(odd, variables={"PKIOPS_SANDBOX_URL": spread.sandbox.url}, clock=ManualClock(START))

    calls: tuple[Callable[[Factory], object], ...] = (
        Factory.check_account,
        lambda made: made.backend.list_authorities(),
    )
    for call in calls:
        with pytest.raises(GuardRefused) as caught:
            call(factory())
        assert (caught.value.exit_code, caught.value.code) == (9, "guard.account")
        assert "999988887777" in caught.value.message
        assert OTHER in caught.value.message
    factory().check_account(everywhere=False)


def findings(spread: Spread) -> set[tuple[str, str]]:
    body = json.loads(spread.done("ca", "doctor", "spread", "--no-probe", "--format", "json").stdout)
    return {(one["code"], one["where"]) for one in body["findings"]}


def test_doctor_looks_at_every_home(applied: Spread) -> None:
    issue(applied, "service", "dns:a.svc.spread.example.com", "a")
    issue(applied, "device", "uri:spiffe://spread.example.com/device/1", "d")
    assert findings(applied) == {("authority.unpinned", "spread/ca/root")}
    devices = client_of(applied.sandbox, *DEVICES_HOME)
    devices.update_certificate_authority(CertificateAuthorityArn=applied.arn(DEVICES_HOME), Status="DISABLED")
    assert ("authority.disabled", "spread/ca/devices") in findings(applied)


def test_doctor_goes_on_without_a_home_that_is_out_of_reach(tmp_path: Path) -> None:
    with spread_on(tmp_path, hindrances=denying_roles(*range(2, 40))) as spread:
        spread.done("ca", "apply", "spread", "--yes")
        (devices,) = found_in(spread.sandbox, *DEVICES_HOME)
        client = client_of(spread.sandbox, *DEVICES_HOME)
        client.update_certificate_authority(CertificateAuthorityArn=devices["Arn"], Status="DISABLED")
        found = findings(spread)
        assert {
            ("account.credentials", f"account {OTHER}, eu-central-1"),
            ("access.denied", f"authorities in account {OTHER}, eu-central-1"),
            ("authority.disabled", "spread/ca/devices"),
        } <= found
        # what could not be looked at is not called missing
        assert not [code for code, where in found if code in {"authority.missing", "index.stale"}]


def test_errors_name_the_home(applied: Spread) -> None:
    environment = load_file(SAMPLE)
    factory = Factory(environment, variables={"PKIOPS_SANDBOX_URL": applied.sandbox.url}, clock=ManualClock(START))
    gone = applied.arn(CLIENTS_HOME)[:-12] + "0" * 12
    with pytest.raises(NotFound) as caught:
        factory.backend.describe_authority(gone)
    assert caught.value.message.startswith(f"account {OTHER}, eu-central-1: DescribeCertificateAuthority for {gone}")
    assert caught.value.details["home"] == {"account": OTHER, "region": "eu-central-1"}
    with pytest.raises(NotFound) as caught:
        factory.backend.describe_authority(gone.replace("eu-central-1", "sa-east-1"))
    assert caught.value.code == "ca.elsewhere"


def clients(
    sandbox: RunningSandbox,
    role: str | None,
    base: AwsClients | None,
    account: str = ACCOUNT,
    clock: ManualClock | None = None,
) -> AwsClients:
    urls = dict.fromkeys(("acm-pca", "s3", "sts"), sandbox.url)
    region = "us-east-1" if base else REGION
    access = AwsAccess(region=region, account=account, role_arn=role, endpoint_urls=urls, sandbox=True)
    return AwsClients(access, base=base, clock=clock)


def test_a_role_elsewhere_is_assumed_by_whoever_works_at_home(spread: Spread) -> None:
    own = f"arn:aws:iam::{ACCOUNT}:role/own"
    home = clients(spread.sandbox, own, None)
    name = home.caller_identity().arn.rpartition("/")[2]
    there = clients(spread.sandbox, ROLE, home, OTHER)
    # the same name over both roles, so that an audit trail reads as one person
    assert there.caller_identity() == CallerIdentity(OTHER, f"arn:aws:sts::{OTHER}:assumed-role/pki-clients/{name}")
    for role in (own, None):
        again = clients(spread.sandbox, role, home)
        assert again.caller_identity() == home.caller_identity()
        assert again.private_ca().meta.region_name == "us-east-1"
    assert home.private_ca().meta.region_name == REGION
    status = ask(spread.sandbox.port)
    assert status is not None
    assert [one.count for one in status.calls if one.operation == "AssumeRole"] == [2]


def test_the_credentials_of_a_role_are_asked_for_again_before_they_end(tmp_path: Path) -> None:
    # AssumeRole may be called four times: both roles now, and both again when their hour is over
    with spread_on(tmp_path, hindrances=denying_roles(5)) as spread:
        clock = ManualClock(START)
        home = clients(spread.sandbox, f"arn:aws:iam::{ACCOUNT}:role/own", None, clock=clock)
        there = clients(spread.sandbox, ROLE, home, OTHER, clock=clock)

        def asked() -> int:
            """How often a role was assumed, after a call by each."""
            there.caller_identity()
            home.caller_identity()
            status = ask(spread.sandbox.port)
            assert status is not None
            return sum(one.count for one in status.calls if one.operation == "AssumeRole")

        assert asked() == 2
        clock.advance(timedelta(minutes=40))
        assert asked() == 2
        clock.advance(timedelta(minutes=19))
        assert asked() == 4
        clock.advance(timedelta(minutes=59))
        with pytest.raises(AccessDenied, match="AssumeRole for arn:aws:iam::"):
            asked()
