"""What a file may say about one authority: each rule broken once, and name constraints derived from profiles."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.environment.name_constraints import enclosing, holds, name_constraints, narrowest, too_wide
from pkiops.environment.plain import as_data, as_yaml
from pkiops.environment.schema import json_schema
from pkiops.environment.subjects import common_name, ordered_attributes, subject_fields
from pkiops.x509.name_constraints import NameConstraints, constraints
from tests.seeded import seeded
from tests.unit.environment.samples import SOUND, changed, problems, read

CLIENTS = "    crl: {validity: 7d}\n"
SUBJECT = "    subject: {common_name: Clients CA G1}\n"
ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"


def with_(lines: str) -> str:
    return changed(CLIENTS, CLIENTS + "".join(f"    {line}\n" for line in lines.splitlines()))


# what is added to the authority `clients`, then the key path below it, the code, a word of the message
WRONG = [
    ("csr: {key_usage: [keyCertSign, keyCertSign]}", "csr.key_usage[1]", "env.csr", "twice"),
    ("csr: {key_usage: [encipherOnly]}", "csr.key_usage[0]", "env.csr", "keyAgreement"),
    ("csr: {key_usage: [signing]}", "csr.key_usage[0]", "env.value", "digitalSignature"),
    ("csr: {subject_information_access: [{method: x, uri: 'http://h'}]}", "csr.subject_information_access[0].method", "env.csr", "caRepository"),
    ("csr: {subject_information_access: [{method: caRepository}]}", "csr.subject_information_access[0]", "env.csr", "exactly one"),
    ("csr: {subject_information_access: [{method: caRepository, uri: x}]}", "csr.subject_information_access[0].uri", "env.csr", "absolute"),
    ("csr: {subject_information_access: [{method: caRepository, ip: x}]}", "csr.subject_information_access[0].ip", "env.csr", "address"),
    ("csr: {subject_information_access: [{method: caRepository, urn: x}]}", "csr.subject_information_access[0].urn", "env.value", "uri"),
    ("ocsp: {enabled: false, host: ocsp.example.com}", "ocsp.host", "env.ocsp", "off"),
    ("ocsp: {host: ocsp.example.com}", "ocsp.enabled", "env.missing-key", "required"),
    ("ocsp: {enabled: true, host: 'http://ocsp.example.com'}", "ocsp.host", "env.value", "without scheme"),
    ("tags: {'aws:x': y}", "tags.aws:x", "env.tags", "belong to AWS"),
    ("tags: {'rds:x': y}", "tags.rds:x", "env.tags", "belong to AWS"),
    ("tags: {'PKIOPS:x': y}", "tags.PKIOPS:x", "env.tags", "pkiops"),
    ("tags: {'a;b': y}", "tags.a;b", "env.value", "letters"),
    ("tags: {a: 1}", "tags.a", "env.quotes", "quotes"),
    (f"tags: {json.dumps({f'k{n}': '' for n in range(48)})}", "tags", "env.value", "47"),
    ("policy: {Statement: []}", "policy.Statement", "env.policy", "list of statements"),
    ("policy: {Statements: []}", "policy.Statements", "env.policy", "Version or Statement"),
    ("policy: {Statement: [x]}", "policy.Statement[0]", "env.policy", "mapping"),
    ("policy: {Statement: [{Effect: Allow, Principal: {AWS: '111122223333'}}]}", "policy.Statement[0].Action", "env.missing-key", "required"),
    ("policy: {Statement: [{Effect: Allow, Principal: {AWS: '111122223333'}, Action: 's3:*'}]}",
     "policy.Statement[0].Action", "env.policy", "acm-pca"),
    ("policy: {Statement: [{Effect: Allow, Principal: '*', Action: 'acm-pca:GetCertificate'}]}",
     "policy.Statement[0].Principal", "env.policy", "every AWS account"),
    ("policy: {Statement: [{Effect: Allow, Principal: {Service: x}, Action: 'acm-pca:GetCertificate'}]}",
     "policy.Statement[0].Principal", "env.policy", "AWS"),
    ("policy: {Statement: [{Effect: Allow, Principal: {AWS: '111122223333'}, Action: 'acm-pca:GetCertificate', Resource: '*'}]}",
     "policy.Statement[0].Resource", "env.policy", "pkiops writes it"),
    ("policy: {Statement: [{Effect: Allow, Principal: {AWS: '111122223333'}, Action: 'acm-pca:GetCertificate', Condition: {StringEquals: x}}]}",
     "policy.Statement[0].Condition", "env.policy", "operators"),
    (f"arn: {ARN.replace('eu-west-1', 'us-east-1')}", "arn", "env.arn", "region eu-west-1"),
    (f"arn: {ARN.replace('111122223333', '444455556666')}", "arn", "env.arn", "account 111122223333"),
    ("arn: x", "arn", "env.value", "ARN of a CA"),
    ("enabled: yes", "enabled", "env.quotes", "true or false"),
    ("enabled: 'true'", "enabled", "env.type", "without quotes"),
    ("acm_permission: 1", "acm_permission", "env.type", "true or false"),
    ("key_storage_security_standard: FIPS", "key_storage_security_standard", "env.value", "FIPS_140_2"),
    ("key_algorithm: SM2", "key_algorithm", "env.value", "cannot be verified"),
    ("backend: {account: '444455556666'}", "backend.role_arn", "env.account", "add role_arn"),
    ("backend: {role_arn: 'arn:aws:iam::444455556666:role/x'}", "backend.role_arn", "env.account", "another account"),
    ("backend: {region: cn-north-1}", "backend.region", "env.region", "partition"),
    ("backend: {endpoint_urls: {}}", "backend.endpoint_urls", "env.unknown-key", "region, account, role_arn or access"),
    ("renew_from: '2026-02-30'", "renew_from", "env.date", "no such day"),
    ("renew_from: '2026'", "renew_from", "env.value", "2026-11-25"),
    ("name_constraints: {}", "name_constraints", "env.name-constraints", "constrains nothing"),
    ("name_constraints: {from: csr}", "name_constraints.from", "env.value", "profiles"),
    ("name_constraints: {from: profiles, permitted: {dns: [a.example]}}", "name_constraints.permitted", "env.name-constraints", "remove from"),
    ("name_constraints: {permitted: {dns: ['*.example.com']}}", "name_constraints.permitted.dns[0]", "env.name-constraints", "wildcards"),
    ("name_constraints: {permitted: {dns: [.example.com]}}", "name_constraints.permitted.dns[0]", "env.name-constraints", "below it too"),
    ("name_constraints: {permitted: {uri: ['spiffe://x']}}", "name_constraints.permitted.uri[0]", "env.name-constraints", "host"),
    ("name_constraints: {permitted: {ip: [10.0.0.1/8]}}", "name_constraints.permitted.ip[0]", "env.name-constraints", "host bits"),
    ("name_constraints: {permitted: {email: ['*@example.com']}}", "name_constraints.permitted.email[0]", "env.name-constraints", "mailbox"),
    ("name_constraints: {permitted: {othername: [x]}}", "name_constraints.permitted.othername", "env.value", "dns"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "path", "code", "says"), WRONG)
def test_each_rule(lines: str, path: str, code: str, says: str) -> None:
    text = with_(lines)
    if lines.startswith("key_algorithm"):
        text = text.replace("    key_algorithm: EC_prime256v1\n", "")
    found = problems(text)
    matching = [p for p in found if p.code == code and p.key_path == f"authorities.clients.{path}"]
    assert len(matching) == 1, found
    assert says in matching[0].message
    assert {problem.code for problem in found} <= {code, "env.unsupported"}, found


SUBJECTS = [
    ("{attributes: []}", "common_name", "env.missing-key", "required"),
    ("{organization: x}", "common_name", "env.missing-key", "required"),
    ("{attributes: [{type: organizationName, value: x}]}", "attributes", "env.missing-key", "no attribute is a commonName"),
    ("{common_name: a, attributes: [{type: commonName, value: a}]}", "common_name", "env.subject", "never both"),
    ("{attributes: [{type: commonname, value: a}]}", "attributes[0].type", "env.subject", "did you mean commonName?"),
    ("{attributes: [{type: commonName, value: a}, {type: '9.9', value: a}]}", "attributes[1].type", "env.subject", "dotted OID"),
    ("{attributes: [{type: commonName, value: a}, {type: countryName, value: gb}]}", "attributes[1].value", "env.subject", "capitals"),
    ("{attributes: [{type: commonName, value: a}, {type: title}]}", "attributes[1]", "env.missing-key", "type and value"),
    (f"{{attributes: [{{type: commonName, value: {'a' * 65}}}]}}", "attributes[0].value", "env.subject", "64"),
    ("{common_name: a, given_name: seventeen-letters}", "given_name", "env.value", "16"),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "path", "code", "says"), SUBJECTS)
def test_each_rule_of_a_subject(subject: str, path: str, code: str, says: str) -> None:
    found = problems(changed(SUBJECT, f"    subject: {subject}\n"))
    assert [(p.code, p.key_path) for p in found] == [(code, f"authorities.clients.subject.{path}")], found
    assert says in found[0].message


@pytest.mark.parametrize(
    ("crl", "path", "code"),
    [
        ("{validity: 7d, path: ../x}", "crl.path", "env.value"),
        ("{validity: 7d, path: /etc}", "crl.path", "env.value"),
        ("{validity: 7d, path: audit-report}", "crl.path", "env.crl-path"),
        ("{validity: 7d, omit_cdp: true, host: a.example}", "crl.host", "env.crl-host"),
        ("{validity: 7d, type: PARTITIONED}", "crl.type", "env.crl-type"),
        ("{validity: 7d, type: DELTA}", "crl.type", "env.value"),
    ],
)
def test_each_rule_of_a_crl(crl: str, path: str, code: str) -> None:
    found = problems(changed(CLIENTS, f"    crl: {crl}\n"))
    assert [(p.code, p.key_path) for p in found] == [(code, f"authorities.clients.{path}")], found


def test_a_crl_in_parts_needs_certificates_that_name_them() -> None:
    found = problems(changed(CLIENTS, "    crl: {validity: 7d, type: PARTITIONED, omit_cdp: true}\n"))
    assert {(p.code, p.key_path) for p in found} == {("env.crl-type", "authorities.clients.crl.type")}
    assert any("remove omit_cdp" in p.message for p in found)


def test_a_root_takes_no_name_constraints() -> None:
    text = changed(
        "    path_length: 1\n", "    path_length: 1\n    name_constraints: {permitted: {dns: [example.com]}}\n"
    )
    assert [p.key_path for p in problems(text)] == ["authorities.root.name_constraints"]


def test_profiles_promise_only_what_their_authorities_may_vouch_for() -> None:
    (found,) = problems(with_("name_constraints: {permitted: {dns: [prod.example.com]}}"))
    assert (found.key_path, found.code) == ("profiles.service.san.dns[0]", "env.name-constraints")
    assert "authority clients" in found.message
    read(with_("name_constraints: {permitted: {dns: [example.com]}}"))
    (found,) = problems(with_("name_constraints: {excluded: {dns: [a.svc.dev.example.com]}}"))
    assert found.key_path == "profiles.service.san.dns[0]"


def test_constraints_that_the_service_cannot_carry_are_refused() -> None:
    many = json.dumps(["example.com", *(f"{'x' * 40}{n}.example.com" for n in range(80))])
    (found,) = problems(with_(f"name_constraints: {{permitted: {{dns: {many}}}}}"))
    assert "3072 bytes" in found.message


def test_broken_chains_and_patterns_say_nothing_about_constraints() -> None:
    text = with_("name_constraints: {from: profiles}").replace("issuer: root", "issuer: nobody")
    assert {p.code for p in problems(text)} == {"env.issuer"}
    text = with_("name_constraints: {from: profiles}").replace('"*.svc.dev.example.com"', '"*"')
    assert {p.code for p in problems(text)} == {"env.pattern"}


def test_the_subject_is_read_in_either_form() -> None:
    text = changed(
        SUBJECT,
        "    subject: {attributes: [{type: commonName, value: A}, {type: '2.5.4.3', value: B}, {type: '1.2.3', value: x}]}\n",
    )
    subject = read(text).authorities["clients"].subject
    assert ordered_attributes(subject) == (("2.5.4.3", "A"), ("2.5.4.3", "B"), ("1.2.3", "x"))
    assert subject_fields(subject) == {"common_name": "A, B", "1.2.3": "x"}
    assert common_name(subject) == "B"
    simple = read(SOUND).authorities["clients"].subject
    assert (ordered_attributes(simple), subject_fields(simple)) == ((), {"common_name": "Clients CA G1"})


def test_a_file_that_says_everything_reads_back_as_it_is_written() -> None:
    text = with_(
        "enabled: true\nkey_storage_security_standard: FIPS_140_2_LEVEL_3_OR_HIGHER\n"
        "csr: {key_usage: [keyCertSign], subject_information_access: [{method: caRepository, uri: 'http://h/'}]}\n"
        "ocsp: {enabled: true, host: ocsp.example.com}\ntags: {a: b}\nacm_permission: false\n"
        "policy: {Statement: [{Effect: Allow, Principal: {AWS: '111122223333'}, Action: ['acm-pca:GetCertificate']}]}\n"
        f"name_constraints: {{from: profiles, excluded: {{dns: [x.svc.dev.example.org]}}}}\narn: {ARN}"
    )
    environment = read(text)
    again = read(as_yaml(environment))
    assert (again.authorities, again.publication, again.tags) == (
        environment.authorities, environment.publication, environment.tags
    )  # fmt: skip
    assert as_data(environment)["authorities"]["clients"]["name_constraints"]["from"] == "profiles"


def test_the_schema_knows_every_key() -> None:
    found = json_schema()["$defs"]["Authority"]["properties"]
    assert {"arn", "enabled", "csr", "name_constraints", "ocsp", "tags", "policy", "acm_permission"} <= set(found)
    assert set(json_schema()["$defs"]["NameConstraints"]["properties"]) == {"from", "permitted", "excluded"}


@pytest.mark.parametrize(
    ("form", "pattern", "subtree"),
    [
        ("dns", "*.svc.example.com", "svc.example.com"),
        ("dns", "a.*.example.com", "example.com"),
        ("dns", "api.example.com", "api.example.com"),
        ("uri", "spiffe://example.com/ns/*/sa/*", "example.com"),
        ("uri", "https://a.example.com", "a.example.com"),
        ("ip", "10.1.0.0/16", "10.1.0.0/16"),
        ("ip", "10.1.2.3", "10.1.2.3/32"),
        ("email", "me@example.com", "me@example.com"),
        ("email", "*@example.com", "example.com"),
        ("email", "*@*.example.com", ".example.com"),
        ("email", "me@*.example.com", ".example.com"),
    ],
)
def test_a_pattern_lies_in_its_subtree(form: str, pattern: str, subtree: str) -> None:
    assert enclosing(form, pattern) == subtree


def test_derived_constraints_close_what_no_profile_uses() -> None:
    made = name_constraints(read(with_("name_constraints: {from: profiles}")), "clients")
    assert made == constraints(
        [("dns", "svc.dev.example.com"), ("uri", "invalid"), ("email", "invalid")],
        [("ip", "0.0.0.0/0"), ("ip", "::/0")],
    )
    assert not name_constraints(read(SOUND), "clients")


def test_subtrees_in_others_are_left_out() -> None:
    found = [
        ("dns", "a.example"),
        ("dns", "b.a.example"),
        ("ip", "10.0.0.0/8"),
        ("ip", "10.1.0.0/16"),
        ("email", "x@a.example"),
        ("email", "a.example"),
    ]
    assert narrowest(found) == (("dns", "a.example"), ("email", "a.example"), ("ip", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("form", "outer", "inner", "expected"),
    [
        ("dns", "example.com", "notexample.com", False),
        ("uri", ".example.com", "example.com", False),
        ("uri", ".example.com", "a.example.com", True),
        ("uri", "example.com", "a.example.com", False),
        ("email", ".example.com", "me@a.example.com", True),
        ("email", "example.com", "me@example.com", True),
        ("email", "me@example.com", "example.com", False),
        ("ip", "::/0", "10.0.0.0/8", False),
    ],
)
def test_one_subtree_in_another(form: str, outer: str, inner: str, expected: bool) -> None:
    assert holds(form, outer, inner) is expected


@seeded(200)
@given(st.integers(0, 2**32 - 1), st.integers(1, 32), st.integers(1, 32))
def test_blocks_are_held_as_their_addresses_are(address: int, outer: int, inner: int) -> None:
    one, other = (str(ip_network((address, length), strict=False)) for length in (outer, inner))
    assert holds("ip", one, other) == (outer <= inner)
    assert ip_address(address) in ip_network(one)
    assert [*too_wide([("ip", other)], NameConstraints((("ip", one),)))] == ([] if outer <= inner else [("ip", other)])


def test_the_guide_names_every_key_of_an_authority() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "environments.md").read_text()
    keys = json_schema()["$defs"]["Authority"]["properties"]
    assert [key for key in keys if f"`{key}`" not in guide] == []
