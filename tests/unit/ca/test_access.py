"""Policies of personas as they are written, for files that differ from the sample; ``tests/aws/test_personas.py`` shows that they suffice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.ca.access import PersonaPolicy, persona_policy
from pkiops.ca.desired import desired_state
from pkiops.clock import SystemClock
from pkiops.environment.models import Environment, Persona
from pkiops.errors import InputError, NotSupported
from pkiops.stores.s3_buckets import S3Buckets
from tests.unit.environment.samples import SOUND, changed, read

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678-1234-1234-1234-123456789012"
EVERY = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/*"
CLIENT_AUTH = [
    f"arn:aws:acm-pca:::template/EndEntityClientAuthCertificate{form}/V1" for form in ("", "_APIPassthrough")
]


def made(
    environment: Environment, persona: Persona, *, may_delete: bool = False, account: str | None = None
) -> PersonaPolicy:
    backend = environment.backend
    access = AwsAccess(
        region=backend.region, account=backend.account, role_arn=None, endpoint_urls={}, sandbox=backend.sandbox
    )
    clients = AwsClients(access)
    authorities, buckets = AwsPrivateCa(clients, SystemClock()), S3Buckets(clients, SystemClock())
    desired = desired_state(environment, authorities, buckets)
    return persona_policy(environment, desired, persona, authorities, buckets, may_delete=may_delete, account=account)


def statements(text: str, persona: Persona, **more: Any) -> dict[str, dict[str, Any]]:
    policy = made(read(text), persona, **more)
    return {one.pop("Sid"): one for one in policy.document["Statement"]}


def test_an_issuer_s_policy_in_full() -> None:
    own = {"aws:ResourceTag/pkiops:environment": "dev"}
    clients = {**own, "aws:ResourceTag/pkiops:authority": ["clients"]}
    assert statements(SOUND, Persona.ISSUER) == {
        "ListAuthorities": {
            "Effect": "Allow",
            "Action": ["acm-pca:ListCertificateAuthorities", "tag:GetResources"],
            "Resource": "*",
        },
        "TellAuthorities": {
            "Effect": "Allow",
            "Action": ["acm-pca:DescribeCertificateAuthority", "acm-pca:ListTags"],
            "Resource": EVERY,
        },
        "ReadCertificates": {
            "Effect": "Allow",
            "Action": "acm-pca:GetCertificateAuthorityCertificate",
            "Resource": EVERY,
            "Condition": {"StringEquals": own},
        },
        "Issue": {
            "Effect": "Allow",
            "Action": "acm-pca:IssueCertificate",
            "Resource": EVERY,
            "Condition": {"StringEquals": {**clients, "acm-pca:TemplateArn": CLIENT_AUTH}},
        },
        "Fetch": {
            "Effect": "Allow",
            "Action": "acm-pca:GetCertificate",
            "Resource": EVERY,
            "Condition": {"StringEquals": clients},
        },
    }


def test_a_ca_that_the_file_pins_is_named() -> None:
    pinned = changed("    issuer: root\n", f"    issuer: root\n    arn: {ARN}\n")
    issue = statements(pinned, Persona.ISSUER)["Issue"]
    assert issue["Resource"] == [ARN]
    assert issue["Condition"] == {"StringEquals": {"acm-pca:TemplateArn": CLIENT_AUTH}}


def test_each_ca_issues_with_the_templates_of_its_own_profiles() -> None:
    servers = """\
  server:
    authority: servers
    usage: [serverAuth]
    validity: {default: 30d, max: 90d}
    san: {dns: ["*.svc.dev.example.com"]}
trust:
"""
    authority = """\
  servers:
    issuer: root
    subject: {common_name: Servers CA G1}
    validity: 5y
    crl: {validity: 7d}
profiles:
"""
    found = statements(
        changed("trust:\n  bundles", f"{servers}  bundles").replace("profiles:\n", authority), Persona.ISSUER
    )
    tests = [found[sid]["Condition"]["StringEquals"] for sid in ("Issue1", "Issue2")]
    assert [one["aws:ResourceTag/pkiops:authority"] for one in tests] == [["clients"], ["servers"]]
    assert all("ClientAuth" in arn for arn in tests[0]["acm-pca:TemplateArn"])
    assert all("ServerAuth" in arn for arn in tests[1]["acm-pca:TemplateArn"])
    assert found["Fetch"]["Condition"]["StringEquals"]["aws:ResourceTag/pkiops:authority"] == ["clients", "servers"]


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
@pytest.mark.parametrize("persona", Persona)
def test_every_arn_is_of_the_region_s_partition(region: str, partition: str, persona: Persona) -> None:
    text = json.dumps(made(read(changed("region: eu-west-1", f"region: {region}")), persona).document)
    assert f'"arn:{partition}:' in text
    assert text.count('"arn:') == text.count(f'"arn:{partition}:')


def test_the_provisioner_gets_what_the_file_speaks_of() -> None:
    plain = statements(SOUND, Persona.PROVISIONER)
    assert not {"Retag", "Share", "ServeAcm", "Retire"} & set(plain)
    assert "Retag" in statements(changed("ledger: {", "tags: {team: a}\nledger: {"), Persona.PROVISIONER)
    clients = "    subject: {common_name: Clients CA G1}\n"
    assert "Share" in statements(changed(clients, f"{clients}    policy: {{}}\n"), Persona.PROVISIONER)
    served = statements(changed(clients, f"{clients}    acm_permission: false\n"), Persona.PROVISIONER)
    assert "acm-pca:CreatePermission" in served["ServeAcm"]["Action"]
    foreign = statements(
        changed("    bucket: dev-crl\n", "    bucket: dev-crl\n    manage: false\n"), Persona.PROVISIONER
    )
    assert foreign["KeepBuckets"]["Resource"] == "arn:aws:s3:::dev-trust"
    constrained = statements(
        changed(clients, f"{clients}    name_constraints: {{permitted: {{dns: [dev.example.com]}}}}\n"),
        Persona.PROVISIONER,
    )
    templates = constrained["SignAuthorities"]["Condition"]["StringEquals"]["acm-pca:TemplateArn"]
    assert "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0_APIPassthrough/V1" in templates


def test_deleting_is_apart() -> None:
    retire = statements(SOUND, Persona.PROVISIONER, may_delete=True)["Retire"]
    assert retire["Action"] == [
        "acm-pca:DeleteCertificateAuthority",
        "acm-pca:RestoreCertificateAuthority",
        "acm-pca:CreateCertificateAuthorityAuditReport",
        "acm-pca:DescribeCertificateAuthorityAuditReport",
    ]
    assert retire["Condition"] == {"StringEquals": {"aws:ResourceTag/pkiops:environment": "dev"}}
    with pytest.raises(InputError):
        made(read(SOUND), Persona.ISSUER, may_delete=True)


def test_an_auditor_changes_nothing() -> None:
    for one in statements(SOUND, Persona.AUDITOR).values():
        actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
        assert all(action.partition(":")[2].startswith(("Get", "List", "Describe")) for action in actions)


def test_what_has_to_be_known_is_said() -> None:
    role = "arn:aws:iam::111122223333:role/pki-issuer"
    assert made(read(SOUND), Persona.ISSUER).notes == ()
    given = read(changed("ledger: {", f"access: {{issuer: '{role}'}}\nledger: {{"))
    assert role in made(given, Persona.ISSUER).notes[0]
    assumed = replace(given, backend=replace(given.backend, role_arn="arn:aws:iam::111122223333:role/other"))
    assert "sts:AssumeRole" in made(assumed, Persona.ISSUER).notes[1]
    assert made(replace(given, backend=replace(given.backend, role_arn=role)), Persona.ISSUER).notes == (
        f"for the role {role} (access.issuer)",
    )
    # one profile for each of a hundred authorities with long names
    clients = read(SOUND).authorities["clients"]
    names = [f"{'a' * 36}{number}" for number in range(100, 200)]
    sound = read(SOUND)
    many = replace(
        sound,
        authorities={**sound.authorities, **dict.fromkeys(names, clients)},
        profiles={name: replace(sound.profiles["service"], authority=name) for name in names},
    )
    policy = made(many, Persona.ISSUER)
    assert policy.size > 6144
    assert "inline policy" in policy.notes[0]


def test_a_backend_that_knows_no_permissions_says_so() -> None:
    environment = read(SOUND)
    clients = AwsClients(
        AwsAccess(region="eu-west-1", account="111122223333", role_arn=None, endpoint_urls={}, sandbox=False)
    )
    authorities, buckets = AwsPrivateCa(clients, SystemClock()), S3Buckets(clients, SystemClock())
    with pytest.raises(NotSupported):
        persona_policy(environment, desired_state(environment, authorities, buckets), Persona.ISSUER, object(), buckets)


def test_what_is_signed_elsewhere_needs_no_right_to_sign() -> None:
    outside = "external_authorities: {offline-root: {subject: {common_name: Offline Root}}}\nauthorities:\n"
    text = SOUND.replace("authorities:\n", outside).replace("issuer: root", "issuer: offline-root")
    (template,) = statements(text, Persona.PROVISIONER)["SignAuthorities"]["Condition"]["StringEquals"][
        "acm-pca:TemplateArn"
    ]
    assert "Root" in template
    start, end = text.index("  root:\n"), text.index("  clients:\n")
    alone = (text[:start] + text[end:]).split("trust:\n  bundles")[0]
    policy = statements(alone, Persona.PROVISIONER)
    assert not {"SignAuthorities", "Fetch"} & set(policy)
    assert {"acm-pca:GetCertificateAuthorityCsr", "acm-pca:ImportCertificateAuthorityCertificate"} <= set(
        policy["Keep"]["Action"]
    )


OTHER = "444455556666"
ROLE = f"arn:aws:iam::{OTHER}:role/pki-clients"
ISSUER = "    issuer: root\n"


def elsewhere(home: str = f"{{region: eu-central-1, account: '{OTHER}', role_arn: '{ROLE}'}}") -> str:
    return changed(ISSUER, f"{ISSUER}    backend: {home}\n")


def test_an_issuer_of_a_ca_elsewhere_only_assumes_its_role() -> None:
    assert statements(elsewhere(), Persona.ISSUER) == {
        "AssumeRolesElsewhere": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [ROLE]}
    }
    there = statements(elsewhere(), Persona.ISSUER, account=OTHER)
    assert set(there) == {"ListAuthorities", "TellAuthorities", "ReadCertificates", "Issue", "Fetch"}
    assert there["Issue"]["Resource"] == f"arn:aws:acm-pca:eu-central-1:{OTHER}:certificate-authority/*"
    notes = made(read(elsewhere()), Persona.ISSUER, account=OTHER).notes
    assert any(ROLE in note and "trust policy" in note for note in notes)
    assert any(f"--account {OTHER}" in note for note in made(read(elsewhere()), Persona.ISSUER).notes)


def test_the_provisioner_signs_in_the_account_of_the_issuer_and_keeps_in_both() -> None:
    here, there = (statements(elsewhere(), Persona.PROVISIONER, account=one) for one in (None, OTHER))
    assert len(here["SignAuthorities"]["Condition"]["StringEquals"]["acm-pca:TemplateArn"]) == 2
    assert "SignAuthorities" not in there
    assert {"Create", "Keep", "CrlBucketForTheService"} <= set(here) & set(there)
    assert here["Keep"]["Resource"] == EVERY
    assert not [sid for sid in there if sid.endswith(("Buckets", "Objects"))]


def test_regions_of_one_account_are_in_one_policy() -> None:
    text = elsewhere("{region: us-east-1}")
    found = statements(text, Persona.PROVISIONER)
    assert found["Keep"]["Resource"] == [EVERY, EVERY.replace("eu-west-1", "us-east-1")]
    assert "AssumeRolesElsewhere" not in found
    assert statements(text, Persona.ISSUER)["Issue"]["Resource"] == EVERY.replace("eu-west-1", "us-east-1")


def test_a_relying_party_has_nothing_to_do_elsewhere() -> None:
    assert "AssumeRolesElsewhere" not in statements(elsewhere(), Persona.RELYING_PARTY)
    policy = made(read(elsewhere()), Persona.RELYING_PARTY, account=OTHER)
    assert policy.document["Statement"] == []
    assert any("nothing to do in account" in note for note in policy.notes)


def test_a_persona_with_a_role_of_its_own_elsewhere_assumes_that_one() -> None:
    own = f"arn:aws:iam::{OTHER}:role/pki-issuer"
    home = f"{{region: eu-central-1, account: '{OTHER}', role_arn: '{ROLE}', access: {{issuer: '{own}'}}}}"
    access = "access: {issuer: 'arn:aws:iam::111122223333:role/issuer'}\nledger:"
    text = elsewhere(home).replace("ledger:", access, 1)
    assert statements(text, Persona.ISSUER)["AssumeRolesElsewhere"]["Resource"] == [own]
    assert statements(text, Persona.REVOKER)["AssumeRolesElsewhere"]["Resource"] == [ROLE]
    (note,) = made(read(text), Persona.ISSUER, account=OTHER).notes
    assert note.startswith(f"for {own}: its trust policy lets the issuer of account 111122223333")
    assert "what all of them need" not in note


def test_an_account_that_the_file_does_not_name_is_refused() -> None:
    with pytest.raises(InputError, match="nothing in account") as caught:
        made(read(SOUND), Persona.ISSUER, account=OTHER)
    assert caught.value.code == "usage.account"


def test_an_issuer_that_asks_whether_a_host_has_answered_reads_one_key_more() -> None:
    asked = changed("host: pki.dev.example.com", "host: pki.dev.example.com\n    require_reachable: true")
    assert "ReadObjects" not in statements(SOUND, Persona.ISSUER)
    assert statements(asked, Persona.ISSUER)["ReadObjects"]["Resource"].endswith("/dev/crl/reached.json")
