"""Everything an environment file can say about CAs, over HTTP against the sandbox: planned, applied, found as declared, found as drift, put right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from pkiops.cli.app import app
from pkiops.clock import ManualClock
from pkiops.environment.load import load_bytes
from pkiops.errors import GuardRefused
from pkiops.factory import Factory
from pkiops.plan import Action, ActionKind, Plan
from pkiops.progress import NoProgress
from pkiops.x509.certificate import crl_urls_of
from tests import builders
from tests.sandbox_server import START, RunningSandbox, running_sandbox

FILE = """\
schema: 1
environment: dev
backend: {type: aws-private-ca, region: eu-west-1, account: "123456789012", sandbox: true}
ledger: {type: sqlite, path: .pkiops/dev.db}
publication:
  crl: {bucket: example-dev-crl, host: pki.dev.example.com}
  trust: {bucket: example-dev-trust}
authorities:
  root:
    subject: {common_name: Root CA G1}
    validity: 20y
    path_length: 1
    crl: {validity: 90d}
  clients:
    issuer: root
    subject: {common_name: Clients CA G1}
    validity: 5y
    crl: {validity: 7d}
profiles:
  service:
    authority: clients
    validity: {default: 30d, max: 90d}
    subject: {common_name: {from: request}}
    san:
      dns: ["*.svc.dev.example.com", api.dev.example.com]
      uri: ["spiffe://dev.example.com/ns/*/sa/*"]
"""
CLIENTS_SUBJECT = "    subject: {common_name: Clients CA G1}\n"
CLIENTS_CRL = "    crl: {validity: 7d}\n"


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


class World:
    """One sandbox, and the hierarchy of whatever file is given."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.acm_pca = sandbox.client("acm-pca")
        self.s3 = sandbox.client("s3")
        self.url = sandbox.url

    def plan(self, text: str) -> Plan:
        made: Plan = self._hierarchy(text).plan()
        return made

    def apply(self, text: str) -> Plan:
        hierarchy = self._hierarchy(text)
        made: Plan = hierarchy.plan()
        hierarchy.apply(made, progress=NoProgress())
        again: Plan = self._hierarchy(text).plan()
        assert not again.pending, [(a.kind, a.address, a.changes) for a in again.pending]
        assert not again.blocked, [(a.address, a.reason) for a in again.blocked]
        return made

    def described(self, common_name: str = "Clients CA G1") -> Mapping[str, Any]:
        for one in self.acm_pca.list_certificate_authorities()["CertificateAuthorities"]:
            subject = one["CertificateAuthorityConfiguration"]["Subject"]
            values = [*subject.values(), *(a["Value"] for a in subject.get("CustomAttributes", ()))]
            if common_name in values:
                return dict(one)
        raise AssertionError(common_name)

    def arn(self, common_name: str = "Clients CA G1") -> str:
        return str(self.described(common_name)["Arn"])

    def certificate(self) -> x509.Certificate:
        answer = self.acm_pca.get_certificate_authority_certificate(CertificateAuthorityArn=self.arn())
        return x509.load_pem_x509_certificate(answer["Certificate"].encode())

    def _hierarchy(self, text: str) -> Any:
        from pkiops.ca.apply import Hierarchy

        environment = load_bytes(text.encode(), "dev.yaml", "dev")
        factory = Factory(environment, variables={"PKIOPS_SANDBOX_URL": self.url}, clock=ManualClock(START))
        return Hierarchy(
            environment, factory.backend, factory.buckets, factory.clock, factory.trust_store, factory.caller, "run"
        )


@pytest.fixture
def world(sandbox: RunningSandbox) -> World:
    return World(sandbox)


def with_(more: str, text: str = FILE) -> str:
    """The file with lines added to the authority ``clients``."""
    assert text.count(CLIENTS_CRL) == 1
    return text.replace(CLIENTS_CRL, CLIENTS_CRL + "".join(f"    {line}\n" for line in more.splitlines()))


def drift(plan: Plan) -> list[Action]:
    """What changes but for the index, whose digest covers the file's words."""
    return [action for action in plan.pending if "/index/" not in action.address]


def fields(plan: Plan) -> list[tuple[str, str | None, str | None]]:
    """Every change of the one authority that changes."""
    (action,) = [a for a in (*plan.pending, *plan.blocked) if "/ca/" in a.address]
    return [(c.field, c.before, c.after) for c in action.changes]


def test_a_subject_in_an_order_of_its_own_with_types_of_all_kinds(world: World) -> None:
    subject = """\
    subject:
      attributes:
        - {type: domainComponent, value: com}
        - {type: domainComponent, value: example}
        - {type: "1.2.3.4", value: anything}
        - {type: commonName, value: Clients CA G1}
"""
    text = FILE.replace(CLIENTS_SUBJECT, subject)
    world.apply(text)
    name = world.certificate().subject
    dc, odd = NameOID.DOMAIN_COMPONENT, x509.ObjectIdentifier("1.2.3.4")
    assert [(a.oid, a.value) for a in name] == [
        (dc, "com"), (dc, "example"), (odd, "anything"), (NameOID.COMMON_NAME, "Clients CA G1"),
    ]  # fmt: skip
    # a type by its OID is the same type
    assert not drift(world.plan(text.replace("domainComponent", '"0.9.2342.19200300.100.1.25"')))
    turned = (
        text.replace("value: com}", "value: x}")
        .replace("value: example}", "value: com}")
        .replace("value: x}", "value: example}")
    )
    ((field, before, after),) = fields(world.plan(turned))
    assert field == "subject"
    assert before == "domainComponent=com, domainComponent=example, 1.2.3.4=anything, common_name=Clients CA G1"
    assert after is not None
    assert after.startswith("domainComponent=example, domainComponent=com")


def test_every_field_of_a_subject(world: World) -> None:
    fields_ = (
        "common_name: Clients CA G1, organization: O, organizational_unit: OU, country: GB, state: S, locality: L, title: T, surname: N, "
        "given_name: G, initials: I, pseudonym: P, generation_qualifier: II, serial_number: '1', distinguished_name_qualifier: Q"
    )
    world.apply(FILE.replace("common_name: Clients CA G1", fields_))
    assert len(list(world.certificate().subject)) == 14


@pytest.mark.parametrize(
    ("key", "signing"),
    [("RSA_3072", "SHA384WITHRSA_PSS"), ("EC_secp521r1", "SHA512WITHECDSA"), ("ML_DSA_65", "ML_DSA_65")],
)
def test_key_and_signing_algorithms_of_every_family(world: World, key: str, signing: str) -> None:
    world.apply(with_(f"key_algorithm: {key}\nsigning_algorithm: {signing}"))
    configuration = world.described()["CertificateAuthorityConfiguration"]
    assert (configuration["KeyAlgorithm"], configuration["SigningAlgorithm"]) == (key, signing)


def test_what_is_fixed_at_creation(world: World) -> None:
    text = with_(
        "usage_mode: SHORT_LIVED_CERTIFICATE\n"
        "key_storage_security_standard: FIPS_140_2_LEVEL_2_OR_HIGHER\n"
        "csr:\n"
        "  key_usage: [keyCertSign, cRLSign]\n"
        "  subject_information_access:\n"
        "    - {method: caRepository, uri: 'http://pki.example.com/repository'}\n"
        "    - {method: '1.2.3.4', dns: pki.example.com}"
    ).replace("validity: {default: 30d, max: 90d}", "validity: {default: 1d, max: 6d}")
    world.apply(text)
    found = world.described()
    assert found["UsageMode"] == "SHORT_LIVED_CERTIFICATE"
    assert found["KeyStorageSecurityStandard"] == "FIPS_140_2_LEVEL_2_OR_HIGHER"
    pem = world.acm_pca.get_certificate_authority_csr(CertificateAuthorityArn=found["Arn"])["Csr"].encode()
    request = x509.load_pem_x509_csr(pem)
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    access = request.extensions.get_extension_for_class(x509.SubjectInformationAccess).value
    assert [a.access_location.value for a in access] == ["http://pki.example.com/repository", "pki.example.com"]
    # spelling is no drift, another value is
    assert not world.plan(text.replace("[keyCertSign, cRLSign]", "[cRLSign, keyCertSign]")).blocked
    changed = world.plan(
        text.replace("LEVEL_2", "LEVEL_3")
        .replace("[keyCertSign, cRLSign]", "[cRLSign]")
        .replace("SHORT_LIVED_CERTIFICATE", "GENERAL_PURPOSE")
    )
    assert [field for field, _, _ in fields(changed)] == [
        "usage mode",
        "csr extensions",
        "key storage security standard",
    ]
    assert "pkiops ca renew dev clients" in changed.blocked[0].reason


def test_crl_settings_and_their_drift(world: World) -> None:
    text = FILE.replace(
        CLIENTS_CRL, "    crl: {validity: 9d, type: PARTITIONED, path: lists/clients, host: crl.dev.example.com}\n"
    )
    world.apply(text)
    crl = world.described()["RevocationConfiguration"]["CrlConfiguration"]
    assert crl["CrlType"] == "PARTITIONED"
    assert (crl["CustomPath"], crl["CustomCname"], crl["ExpirationInDays"]) == (
        "lists/clients",
        "crl.dev.example.com",
        9,
    )
    plan = world.apply(FILE)
    assert fields(plan) == [
        ("crl host", "crl.dev.example.com", "pki.dev.example.com"),
        ("crl validity", "9d", "7d"),
        ("crl path", "lists/clients", "crl"),
        ("crl complete", "no", "yes"),
    ]
    assert "keep their distribution point" in next(a for a in plan.pending if "/ca/" in a.address).reason
    world.apply(FILE.replace(CLIENTS_CRL, "    crl: {validity: 7d, omit_cdp: true}\n"))
    crl = world.described()["RevocationConfiguration"]["CrlConfiguration"]
    assert crl["CrlDistributionPointExtensionConfiguration"] == {"OmitExtension": True}
    assert "CustomCname" not in crl
    world.apply(FILE)


def test_ocsp_is_turned_on_and_off_only_where_the_file_says_so(world: World) -> None:
    def responder() -> Mapping[str, Any]:
        found: Mapping[str, Any] = world.described()["RevocationConfiguration"]["OcspConfiguration"]
        return found

    world.apply(with_("ocsp: {enabled: true, host: ocsp.dev.example.com}"))
    assert responder() == {"Enabled": True, "OcspCustomCname": "ocsp.dev.example.com"}
    assert not drift(world.plan(FILE))
    assert fields(world.apply(with_("ocsp: {enabled: true}"))) == [("ocsp host", "ocsp.dev.example.com", "none")]
    # an update of the CRL keeps the responder
    world.apply(FILE.replace(CLIENTS_CRL, "    crl: {validity: 8d}\n"))
    assert responder() == {"Enabled": True}
    world.apply(with_("ocsp: {enabled: false}").replace(CLIENTS_CRL, "    crl: {validity: 8d}\n"))
    assert responder() == {"Enabled": False}


def test_tags_are_added_and_changed_and_those_of_others_stay(world: World) -> None:
    world.apply(FILE.replace("authorities:\n", "tags: {team: pki, cost centre: '42'}\nauthorities:\n"))
    arn = world.arn()
    world.acm_pca.tag_certificate_authority(CertificateAuthorityArn=arn, Tags=[{"Key": "theirs", "Value": "x"}])
    changed = with_(
        "tags: {team: platform, level: issuing}", FILE.replace("authorities:\n", "tags: {team: pki}\nauthorities:\n")
    )
    assert fields(world.apply(changed)) == [("tag team", "pki", "platform"), ("tag level", None, "issuing")]
    tags = {tag["Key"]: tag["Value"] for tag in world.acm_pca.list_tags(CertificateAuthorityArn=arn)["Tags"]}
    assert tags == {
        "pkiops:environment": "dev", "pkiops:authority": "clients", "pkiops:generation": "1",
        "team": "platform", "cost centre": "42", "level": "issuing", "theirs": "x",
    }  # fmt: skip


POLICY = """\
policy:
  Statement:
    - Effect: Allow
      Principal: {AWS: "444455556666"}
      Action: acm-pca:GetCertificate
    - Sid: Issue
      Effect: Allow
      Principal: {AWS: "arn:aws:iam::444455556666:root"}
      Action: [acm-pca:IssueCertificate]
      Condition: {StringEquals: {acm-pca:TemplateArn: "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1"}}
"""


def test_a_resource_policy_is_put_compared_by_meaning_and_removed(world: World) -> None:
    made = world.apply(with_(POLICY))
    kinds = [action.kind for action in made.pending if action.address == "dev/ca/clients"]
    assert kinds == [ActionKind.CREATE, ActionKind.ACTIVATE, ActionKind.UPDATE]
    arn = world.arn()
    put = json.loads(world.acm_pca.get_policy(ResourceArn=arn)["Policy"])
    assert [statement["Resource"] for statement in put["Statement"]] == [arn, arn]
    # the same in other words, and in another order
    other = {
        "Version": "2012-10-17",
        "Statement": [
            put["Statement"][1] | {"Principal": {"AWS": ["444455556666"]}, "Action": "acm-pca:IssueCertificate"},
            put["Statement"][0] | {"Sid": "TheirName", "Action": ["acm-pca:getcertificate"], "Resource": [arn]},
        ],
    }
    world.acm_pca.put_policy(ResourceArn=arn, Policy=json.dumps(other))
    assert not drift(world.plan(with_(POLICY)))
    narrower = {**other, "Statement": other["Statement"][:1]}
    world.acm_pca.put_policy(ResourceArn=arn, Policy=json.dumps(narrower))
    assert [field for field, _, _ in fields(world.apply(with_(POLICY)))] == ["policy"]
    assert not drift(world.plan(FILE))  # a file that does not speak of it leaves it
    ((field, before, after),) = fields(world.apply(with_("policy: {}")))
    assert (field, after) == ("policy", None)
    assert before is not None
    assert "IssueCertificate" in before
    with pytest.raises(world.acm_pca.exceptions.ResourceNotFoundException):
        world.acm_pca.get_policy(ResourceArn=arn)


def test_acm_s_permission_is_given_completed_and_taken(world: World) -> None:
    world.apply(with_("acm_permission: true"))
    arn, principal = world.arn(), "acm.amazonaws.com"
    assert not drift(world.plan(FILE))
    world.acm_pca.delete_permission(CertificateAuthorityArn=arn, Principal=principal)
    world.acm_pca.create_permission(CertificateAuthorityArn=arn, Principal=principal, Actions=["GetCertificate"])
    ((field, before, after),) = fields(world.apply(with_("acm_permission: true")))
    assert (field, before, after) == (
        "acm permission",
        "GetCertificate",
        "GetCertificate, IssueCertificate, ListPermissions",
    )
    world.apply(with_("acm_permission: false"))
    assert world.acm_pca.list_permissions(CertificateAuthorityArn=arn)["Permissions"] == []


def test_name_constraints_are_signed_critical_and_their_change_needs_another_certificate(world: World) -> None:
    text = with_(
        "name_constraints:\n  permitted: {dns: [dev.example.com], uri: [dev.example.com], ip: [10.0.0.0/8]}\n  excluded: {dns: [x.dev.example.com]}"
    )
    planned = world.apply(text)
    activate = next(a for a in planned.pending if a.address == "dev/ca/clients" and a.kind is ActionKind.ACTIVATE)
    assert (activate.changes[-1].field, activate.changes[-1].before) == ("name constraints", None)
    extension = world.certificate().extensions.get_extension_for_class(x509.NameConstraints)
    assert extension.critical
    assert [n.value for n in extension.value.excluded_subtrees or ()] == ["x.dev.example.com"]
    assert len(extension.value.permitted_subtrees or ()) == 3
    usage = world.certificate().extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (True, True, True)
    changed = world.plan(text.replace("ip: [10.0.0.0/8]", "ip: [10.1.0.0/16]"))
    assert [field for field, _, _ in fields(changed)] == ["name constraints"]
    assert "pkiops ca renew dev clients" in changed.blocked[0].reason


def test_derived_name_constraints_hold_what_the_profiles_say(world: World) -> None:
    text = with_("name_constraints: {from: profiles}")
    world.apply(text)
    found = world.certificate().extensions.get_extension_for_class(x509.NameConstraints).value
    assert {(type(n).__name__, n.value) for n in found.permitted_subtrees or ()} == {
        ("DNSName", "svc.dev.example.com"), ("DNSName", "api.dev.example.com"),
        ("UniformResourceIdentifier", "dev.example.com"), ("RFC822Name", "invalid"),
    }  # fmt: skip
    assert [str(n.value) for n in found.excluded_subtrees or ()] == ["0.0.0.0/0", "::/0"]
    wider = world.plan(text.replace("api.dev.example.com", "api.dev.example.org"))
    assert [field for field, _, _ in fields(wider)] == ["name constraints"]


def test_an_authority_is_disabled_and_enabled_as_the_file_says(world: World) -> None:
    made = world.apply(with_("enabled: false"))
    assert [a.kind for a in made.pending if a.address == "dev/ca/clients"][-1] is ActionKind.DISABLE
    assert world.described()["Status"] == "DISABLED"
    assert "enabled: true or false" in world.plan(FILE).blocked[0].reason
    # what is DISABLED can still be changed
    world.apply(with_("enabled: false\nocsp: {enabled: true}"))
    assert world.described()["Status"] == "DISABLED"
    (enable,) = [a for a in world.apply(with_("enabled: true")).pending if "/ca/" in a.address]
    assert enable.kind is ActionKind.ENABLE
    assert world.described()["Status"] == "ACTIVE"
    assert not drift(world.plan(FILE))


def test_nothing_new_hangs_below_what_stays_disabled(world: World) -> None:
    alone = re.sub(r"  clients:\n(    .*\n)+", "", FILE).split("profiles:")[0]
    world.apply(alone.replace("    path_length: 1\n", "    path_length: 1\n    enabled: false\n"))
    blocked = world.plan(FILE.replace("    path_length: 1\n", "    path_length: 1\n    enabled: false\n")).blocked
    assert [(a.address, "enabled: false" in a.reason) for a in blocked] == [("dev/ca/clients", True)]


def test_buckets_of_other_tooling_are_checked_and_never_changed(world: World) -> None:
    theirs = FILE.replace("host: pki.dev.example.com}", "host: pki.dev.example.com, manage: false}")
    (missing,) = world.plan(theirs).blocked[:1]
    assert "does not exist" in missing.reason
    world.apply(FILE)
    world.s3.delete_bucket_tagging(Bucket="example-dev-crl")
    assert not drift(world.plan(theirs))
    # a statement of another name, wider in what it grants, serves as well
    policy = json.loads(world.s3.get_bucket_policy(Bucket="example-dev-crl")["Policy"])
    grant = next(s for s in policy["Statement"] if s["Effect"] == "Allow")
    grant |= {"Sid": "Theirs", "Action": "s3:*"}
    grant["Condition"].pop("ArnLike")
    world.s3.put_bucket_policy(Bucket="example-dev-crl", Policy=json.dumps(policy))
    assert not drift(world.plan(theirs))
    assert not world.plan(theirs).blocked
    world.s3.put_bucket_versioning(Bucket="example-dev-crl", VersioningConfiguration={"Status": "Suspended"})
    world.s3.delete_bucket_policy(Bucket="example-dev-crl")
    (blocked,) = world.plan(theirs).blocked
    assert "add this where it is declared" in blocked.reason
    versioning, grant_change, deny = blocked.changes
    assert (versioning.field, versioning.after) == ("versioning", "on")
    assert json.loads(grant_change.after or "")["Principal"] == {"Service": "acm-pca.amazonaws.com"}
    assert json.loads(deny.after or "")["Effect"] == "Deny"
    with pytest.raises(GuardRefused):
        world.apply(theirs)
    assert world.s3.get_bucket_versioning(Bucket="example-dev-crl")["Status"] == "Suspended"


def test_a_bucket_with_a_key_of_kms_is_taken_with_a_warning(world: World) -> None:
    world.apply(FILE)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/theirs"}}
    world.s3.put_bucket_encryption(Bucket="example-dev-crl", ServerSideEncryptionConfiguration={"Rules": [rule]})
    theirs = FILE.replace("host: pki.dev.example.com}", "host: pki.dev.example.com, manage: false}")
    plan = world.plan(theirs)
    assert not plan.blocked
    assert "kms:GenerateDataKey" in plan.actions[0].warnings[0]


def test_a_longer_validity_is_for_the_next_certificate(world: World) -> None:
    world.apply(FILE)
    plan = world.plan(FILE.replace("validity: 5y", "validity: 6y"))
    assert not drift(plan)
    assert "the next one lasts 6y" in next(a for a in plan.actions if a.address == "dev/ca/clients").reason


def issued(world: World, text: str, name: str, tmp_path: Path) -> x509.Certificate:
    """A certificate of the profile ``service``, through the whole of ``cert issue``."""
    environment = tmp_path / "environments"
    environment.mkdir(exist_ok=True)
    (environment / "dev.yaml").write_text(text, encoding="utf-8")
    request = tmp_path / f"{name}.csr"
    request.write_bytes(builders.csr({"common_name": name}, sans=(f"dns:{name}",)))
    target = tmp_path / f"{name}.pem"
    result = CliRunner().invoke(
        app,
        ["cert", "issue", "dev", "--profile", "service", "--csr", str(request), "--output", str(target)],
        env={"PKIOPS_SANDBOX_URL": world.url, "PKIOPS_ENVIRONMENTS": str(environment)},
    )
    assert result.exit_code == 0, result.output
    return x509.load_pem_x509_certificate(target.read_bytes().split(b"-----END")[0] + b"-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("crl", "url"),
    [
        ("{validity: 7d, type: PARTITIONED, path: lists}", r"http://pki\.dev\.example\.com/lists/[^/]+\.crl"),
        ("{validity: 7d, host: crl.dev.example.com, path: /}", r"http://crl\.dev\.example\.com/[0-9a-f-]{36}\.crl"),
        ("{validity: 7d, omit_cdp: true}", None),
    ],
)
def test_certificates_name_the_crl_as_the_file_says(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crl: str, url: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    text = with_("name_constraints: {from: profiles}\nocsp: {enabled: true}").replace(CLIENTS_CRL, f"    crl: {crl}\n")
    world.apply(text)
    urls = crl_urls_of(issued(world, text, "a.svc.dev.example.com", tmp_path))
    assert len(urls) == (url is not None)
    assert url is None or re.fullmatch(url, urls[0])


def test_a_path_length_that_the_certificate_does_not_have_is_found(world: World) -> None:
    world.apply(FILE)
    longer = FILE.replace("path_length: 1", "path_length: 3")
    plan = world.plan(longer)
    root, below = plan.blocked
    assert [(c.field, c.before, c.after) for c in root.changes] == [("path length", "1", "3")]
    assert "new generation" in root.reason
    assert "waits for a decision" in below.reason
    deeper = longer.replace("    issuer: root\n", "    issuer: root\n    path_length: 2\n")
    assert {action.address for action in world.plan(deeper).blocked} == {"dev/ca/root", "dev/ca/clients"}


def test_name_constraints_that_left_the_file_are_found(world: World) -> None:
    text = with_("name_constraints: {permitted: {dns: [dev.example.com], uri: [dev.example.com]}}")
    world.apply(text)
    ((field, before, after),) = fields(world.plan(FILE))
    assert (field, before, after) == (
        "name constraints",
        "permitted dns dev.example.com, permitted uri dev.example.com",
        "none",
    )
    # what nobody published can vouch for nothing: the service is asked
    world.s3.delete_object(Bucket="example-dev-trust", Key="dev/index.json")
    assert [field for field, _, _ in fields(world.plan(FILE))] == ["name constraints"]


def test_a_role_is_a_way_to_the_cas_and_makes_no_index_stale(world: World) -> None:
    world.apply(FILE)
    role = FILE.replace("sandbox: true", "sandbox: true, role_arn: 'arn:aws:iam::123456789012:role/pki'")
    plan = world.plan(role)
    assert not plan.pending
    assert "through role arn:aws:iam::123456789012:role/pki" in str(plan.place)
    assert plan.digest() == world.plan(FILE).digest()
