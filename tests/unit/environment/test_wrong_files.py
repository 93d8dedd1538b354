"""One wrong file for each rule: where the problem is said to be, at which key, under which code, and what to write."""

from __future__ import annotations

import pytest

from pkiops.environment.load import MAX_PROBLEMS
from tests.unit.environment.samples import SOUND, changed, problems, read

# what is replaced, by what, then line:column, key path, code, a word of the message
ONE_PROBLEM = [
    # shape
    ("schema: 1", "schema: 2", "1:9", "schema", "env.value", "write 1"),
    ("schema: 1", "schema: true", "1:9", "schema", "env.value", "write 1"),
    ("schema: 1", 'schema: "1"', "1:9", "schema", "env.value", "write 1"),
    ("environment: dev", "environmnt: dev", "2:1", "environmnt", "env.unknown-key", "did you mean environment?"),
    ("    bucket: dev-crl\n", "", "10:3", "publication.crl.bucket", "env.missing-key", "required"),
    ("  region: eu-west-1\n", "", "3:1", "backend.region", "env.missing-key", "required"),
    ("  region: eu-west-1", "  region: Ireland", "5:11", "backend.region", "env.value", "eu-west-1"),
    ('"111122223333"', "111122223333", "6:12", "backend.account", "env.quotes", "in quotes"),
    ('"111122223333"', "011122223333", "6:12", "backend.account", "env.quotes", "octal"),
    ('"111122223333"', "[]", "6:12", "backend.account", "env.type", "one text"),
    ("type: sqlite", "type: postgres", "8:16", "ledger.type", "env.value", "sqlite"),
    ("type: sqlite, ", "", "8:1", "ledger.type", "env.missing-key", "required"),
    ("{type: sqlite, path: .pkiops/dev.db}", "{type: dynamodb}", "8:1", "ledger.table", "env.missing-key", "required"),
    ("{type: sqlite, path: .pkiops/dev.db}", "{type: dynamodb, table: a b}", "8:33", "ledger.table", "env.value", "name of a table"),
    ("{type: sqlite, path: .pkiops/dev.db}", "{type: dynamodb, table: ledger, manage: 1}", "8:49", "ledger.manage", "env.type", "true or false"),
    ("{type: sqlite, path: .pkiops/dev.db}", "{type: dynamodb, tabel: ledger}", "8:26", "ledger.tabel", "env.unknown-key", "did you mean table?"),
    ("{type: sqlite, path: .pkiops/dev.db}", "dynamodb", "8:9", "ledger", "env.type", "a mapping"),
    ("{type: sqlite, path: .pkiops/dev.db}", "", "8:8", "ledger", "env.type", "is empty"),
    ("type: aws-private-ca", "type: step-ca", "4:9", "backend.type", "env.unsupported", "not supported by this version"),
    ("ledger: {", "access: {root: a}\nledger: {", "8:10", "access.root", "env.value", "provisioner"),
    ("ledger: {", "access: {issuer: 'arn:aws:iam::111122223333:role/*'}\nledger: {", "8:18", "access.issuer", "env.value", "wildcards"),
    ("ledger: {", "access: {issuer: 'arn:aws:iam::999999999999:role/a'}\nledger: {", "8:18", "access.issuer", "env.account", "account"),
    ("ledger: {", "access: {issuer: 'arn:aws-cn:iam::111122223333:role/a'}\nledger: {", "8:18", "access.issuer", "env.partition", "arn:aws:"),
    ("ledger: {", "access: {issuer: 'arn:aws:iam::111122223333:role/a', relying-party: 'arn:aws:iam::111122223333:role/a'}\nledger: {", "8:69",
     "access.relying-party", "env.access", "role of its own"),
    ("    bucket: dev-crl", "    bucket: Dev_CRL", "11:13", "publication.crl.bucket", "env.value", "lower-case"),
    ("host: pki", "host: http://pki", "12:11", "publication.crl.host", "env.value", "without scheme"),
    ("validity: 20y", "validity: 20 years", "19:15", "authorities.root.validity", "env.value", "10y"),
    ("validity: 20y", "validity: 20", "19:15", "authorities.root.validity", "env.value", "10y"),
    ("path_length: 1", "path_length: 4", "20:18", "authorities.root.path_length", "env.value", "at most 3"),
    ("path_length: 1", 'path_length: "1"', "20:18", "authorities.root.path_length", "env.type", "without quotes"),
    ("  clients:\n", "  Clients:\n", "22:3", "authorities.Clients", "env.value", "lower-case"),
    ("EC_secp384r1", "secp384r1", "18:20", "authorities.root.key_algorithm", "env.value", "did you mean EC_secp384r1?"),
    ("{common_name: Root CA G1}", "{common_name: ''}", "17:28", "authorities.root.subject.common_name", "env.value", "empty"),
    ("{common_name: Root CA G1}", "{common_name: R, country: NO}", "17:40",
     "authorities.root.subject.country", "env.quotes", "true or false"),
    ("{common_name: Root CA G1}", "{common_name: 2026-01-01}", "17:28",
     "authorities.root.subject.common_name", "env.quotes", "a date"),
    ("{common_name: Root CA G1}", "{common_name: 12:30:00}", "17:28",
     "authorities.root.subject.common_name", "env.quotes", "base 60"),
    ("{common_name: Root CA G1}", "{common_name: 1.5}", "17:28",
     "authorities.root.subject.common_name", "env.quotes", "fraction"),
    ("{common_name: Root CA G1}", "", "17:13", "authorities.root.subject", "env.type", "is empty"),
    ("{from: request}", "{frm: request}", "35:21", "profiles.service.subject.common_name.frm", "env.unknown-key", "did you mean from?"),
    ("{from: request}", "[request]", "35:20", "profiles.service.subject.common_name", "env.type", "a mapping"),
    ("{from: request}", "{from: csr}", "35:27", "profiles.service.subject.common_name.from", "env.value", "write request"),
    ("anchors: [root]", "anchors: root", "42:16", "trust.bundles.services.anchors", "env.type", "a list"),
    ("anchors: [root]", "anchors: []", "42:16", "trust.bundles.services.anchors", "env.value", "is empty"),
    ("pem: {}", "pem: {kind: caddy}", "44:21", "trust.bundles.services.targets.pem.kind", "env.unsupported", "not supported"),
    ("anchors: [root]", "anchors: [root]\n      receivers: []", "43:7",
     "trust.bundles.services.receivers", "env.unsupported", "not supported"),
    ("anchors: [root]", "anchors: [root]\n      include_intermediates: 'no'", "43:30",
     "trust.bundles.services.include_intermediates", "env.type", "true or false"),
    # sense
    ("environment: dev", "environment: prod", "2:14", "environment", "env.name", "write dev"),
    ("  endpoint_urls: {}", "  sandbox: true\n  endpoint_urls: {s3: 'http://127.0.0.1:1'}", "8:3",
     "backend.endpoint_urls", "env.sandbox", "remove"),
    ("endpoint_urls: {}", "endpoint_urls: {s3: 'https://u@h'}", "7:23", "backend.endpoint_urls.s3", "env.endpoint", "no user name"),
    ("endpoint_urls: {}", "endpoint_urls: {s3: 'http://s3.amazonaws.com'}", "7:23",
     "backend.endpoint_urls.s3", "env.endpoint", "https"),
    ("endpoint_urls: {}", "endpoint_urls: {ec2: 'https://h'}", "7:19", "backend.endpoint_urls.ec2", "env.value",
     "acm-pca, s3, sts, resourcegroupstaggingapi, dynamodb, secretsmanager or ssm"),
    ("  endpoint_urls: {}", "  role_arn: arn:aws:iam::444455556666:role/x", "7:13", "backend.role_arn", "env.account", "another account"),
    (".pkiops/dev.db", "/var/dev.db", "8:30", "ledger.path", "env.ledger-path", "below the working directory"),
    (".pkiops/dev.db", "a/../../dev.db", "8:30", "ledger.path", "env.ledger-path", "below the working directory"),
    ("bucket: dev-trust", "bucket: dev-crl", "14:13", "publication.trust.bucket", "env.bucket", "two buckets"),
    ("bucket: dev-trust", "bucket: 10.0.0.1", "14:13", "publication.trust.bucket", "env.bucket", "address"),
    ("issuer: root", "issuer: rot", "23:13", "authorities.clients.issuer", "env.issuer", "did you mean root?"),
    ("    key_algorithm: EC_prime256v1", "    signing_algorithm: SHA256WITHRSA", "25:24",
     "authorities.clients.signing_algorithm", "env.signing-algorithm", "SHA256WITHECDSA"),
    ("crl: {validity: 7d}", "crl: {validity: 168h}", "27:21", "authorities.clients.crl.validity", "env.crl-validity", "whole days"),
    ("crl: {validity: 7d}", "crl: {validity: 1y}", "27:21", "authorities.clients.crl.validity", "env.crl-validity", "whole days"),
    ("crl: {validity: 90d}", "crl: {validity: 5001d}", "21:21", "authorities.root.crl.validity", "env.crl-validity", "5000d"),
    ("crl: {validity: 7d}", "crl: {validity: 1826d}", "27:21", "authorities.clients.crl.validity", "env.crl-validity", "less than 5y"),
    ("validity: 5y", "validity: 20y", "26:15", "authorities.clients.validity", "env.outlives", "20y of its issuer root"),
    ("validity: 5y", "validity: 7304d", "26:15", "authorities.clients.validity", "env.outlives", "outlive"),
    ("path_length: 1", "path_length: 0", "20:18", "authorities.root.path_length", "env.path-length", "at least 1"),
    ("    issuer: root\n", "    issuer: root\n    path_length: 1\n", "20:18",
     "authorities.root.path_length", "env.path-length", "at least 2"),
    ("path_length: 1", "usage_mode: SHORT_LIVED_CERTIFICATE", "23:13",
     "authorities.clients.issuer", "env.short-lived", "no authority below"),
    ("    issuer: root\n", "    issuer: root\n    usage_mode: SHORT_LIVED_CERTIFICATE\n", "34:12",
     "profiles.service.validity.max", "env.short-lived", "at most 7d"),
    ("Clients CA G1", "Root CA G1", "24:28", "authorities.clients.subject.common_name", "env.common-name", "authority root"),
    ("authority: clients", "authority: client", "30:16", "profiles.service.authority", "env.profile-authority", "root or clients"),
    ("default: 30d", "default: 91d", "32:16", "profiles.service.validity.default", "env.profile-validity", "90d"),
    ("max: 90d", "max: 5y", "33:12", "profiles.service.validity.max", "env.profile-validity", "shorter than the 5y"),
    ("required: true", "required: false", "35:20", "profiles.service.subject.common_name", "env.common-name", "patterns"),
    ("      dns: [", "      ip: []\n      x: [", "38:7", "profiles.service.san.x", "env.unknown-key", "email, deny, required, required_kinds"),
    ('["*.svc.dev.example.com"]', "[]", "36:5", "profiles.service.san", "env.san", "list patterns"),
    ('["*.svc.dev.example.com"]', '["*"]', "37:13", "profiles.service.san.dns[0]", "env.pattern", "last label"),
    ("{from: request}", "{from: request, patterns: ['**']}", "35:47",
     "profiles.service.subject.common_name.patterns[0]", "env.pattern", "every common name"),
    ("anchors: [root]", "anchors: [root, clients]", "42:23", "trust.bundles.services.anchors[1]", "env.anchor", "must be a root"),
    ("anchors: [root]", "anchors: [root, root]", "42:23", "trust.bundles.services.anchors[1]", "env.anchor", "twice"),
    ("anchors: [root]", "anchors: [roots]", "42:17", "trust.bundles.services.anchors[0]", "env.anchor", "write root"),
    ("pem: {}", "redis: {}", "44:9", "trust.bundles.services.targets.redis", "env.unsupported", "not supported by this version"),
    ("pem: {}", "edge: {}", "44:9", "trust.bundles.services.targets.edge", "env.target-kind", "kind: pem, nginx"),
    ("pem: {}", "pem: {kind: pem, folder: own}", "44:34", "trust.bundles.services.targets.pem.folder", "env.target-kind", "of your own"),
    ("pem: {}", "pem: {folder: ../own}", "44:23", "trust.bundles.services.targets.pem.folder", "env.value", ""),
    # YAML
    ("environment: dev", "environment: dev\nenvironment: dev", "3:1", "environment", "env.duplicate-key", "line 2"),
    ("environment: dev", "environment: &x dev", "2:14", "environment", "env.alias", "anchor"),
    ("ledger: {", "? [a, b]\n: c\nledger: {", "8:3", "", "env.key", "one word"),
    ("  endpoint_urls: {}", "  on: x", "7:3", "backend", "env.key", 'in quotes: "on"'),
    ("  endpoint_urls: {}", "  <<: {}", "7:3", "backend", "env.alias", "merge key"),
    ("  endpoint_urls: {}", "  ? \"a\\nb\"\n  : x", "7:5", "backend", "env.character", "invisible"),
    ("environment: dev", "environment: !!binary ZGV2", "2:14", "environment", "env.tag", "tag"),
    ("endpoint_urls: {}", "endpoint_urls: !x {}", "7:18", "backend.endpoint_urls", "env.tag", "tag"),
    ("environment: dev", 'environment: "de\\0v"', "2:14", "environment", "env.character", "invisible"),
]  # fmt: skip

UNREADABLE: list[tuple[str | bytes, str, str, str]] = [
    ("", "1:1", "env.empty", "env init"),
    ("# nothing\n", "1:1", "env.empty", "env init"),
    ("- a\n", "1:1", "env.type", "mapping"),
    ("just text\n", "1:1", "env.type", "mapping"),
    ("a: 1\n---\nb: 2\n", "2:1", "env.documents", "second document"),
    ("a:\n\tb: 1\n", "2:1", "env.tab", "spaces"),
    ("a: b: c\n", "1:5", "env.yaml", "colon"),
    ("a: [1, 2\n", "2:1", "env.yaml", "brackets"),
    ("a: b\x00c\n", "1:5", "env.character", "U+0000"),
    ("a: b\u202ec\n", "1:5", "env.character", "U+202E"),
    (b"a: 1\nb: \xff\n", "2:4", "env.encoding", "UTF-8"),
    ("a: 1\n".encode("utf-16"), "1:1", "env.encoding", "UTF-8"),
    (b"#" * 1_048_577, "1:1", "env.size", "1 MiB"),
    ("a: " + "[" * 40 + "]" * 40, "1:19", "env.depth", "deeper"),
    ("a: [" + "1," * 30_000 + "]", "1:40001", "env.size", "20000 values"),
]


def test_the_sample_is_sound() -> None:
    assert read(SOUND).environment == "dev"


@pytest.mark.parametrize(("old", "new", "place", "key_path", "code", "says"), ONE_PROBLEM)
def test_each_rule(old: str, new: str, place: str, key_path: str, code: str, says: str) -> None:
    found = problems(changed(old, new))
    matching = [problem for problem in found if problem.code == code and problem.key_path == key_path]
    assert len(matching) == 1, found
    assert f"{matching[0].line}:{matching[0].column}" == place, matching
    assert says in matching[0].message
    others = {problem.code for problem in found} - {code}
    # one cause, one problem: what is allowed beside it is the misspelled key that a missing key goes with
    assert others <= {"env.missing-key", "env.unknown-key", "env.profile-authority"}, found


@pytest.mark.parametrize(("data", "place", "code", "says"), UNREADABLE)
def test_files_that_are_no_yaml_of_ours(data: str | bytes, place: str, code: str, says: str) -> None:
    (problem,) = problems(data)
    assert (problem.code, f"{problem.line}:{problem.column}") == (code, place)
    assert says in problem.message


def test_half_a_million_brackets() -> None:
    # libyaml has a bound of its own, which it may reach first because it reads ahead
    (problem,) = problems("a: " + "[" * 500_000)
    assert problem.code in {"env.depth", "env.yaml"}


def test_a_yaml_bomb_is_refused_without_being_expanded() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)
    )
    found = problems(bomb)
    assert {problem.code for problem in found} >= {"env.alias"}
    assert len(found) <= MAX_PROBLEMS + 1


def test_an_alias_to_what_holds_it_is_refused() -> None:
    assert "env.alias" in {problem.code for problem in problems("a: &a\n  b: *a\n")}


def test_a_flood_of_problems_is_cut() -> None:
    found = problems("".join(f"k{n}: 1\n" for n in range(5000)))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].code == "env.more"


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = SOUND.replace("region: eu-west-1", "regoin: eu-west-1").replace("validity: 5y", "validity: 30y")
    text = (
        text.replace("default: 30d", "default: 91d")
        .replace("pem: {}", "redis: {}")
        .replace("schema: 1", "schema: 1\nschema: 1")
    )
    found = problems(text)
    assert [problem.code for problem in found] == [
        "env.duplicate-key",
        "env.unknown-key",
        "env.outlives",
        "env.profile-validity",
        "env.unsupported",
    ]
    assert [problem.line for problem in found] == sorted(problem.line for problem in found)


def test_a_broken_authority_is_one_problem_and_not_one_for_each_that_names_it() -> None:
    assert [p.key_path for p in problems(changed("validity: 5y", "validity: 5 years"))] == [
        "authorities.clients.validity"
    ]
    assert [p.key_path for p in problems(changed("validity: 20y", "validity: 20 years"))] == [
        "authorities.root.validity"
    ]


def test_an_unsupported_backend_hides_its_own_keys_only() -> None:
    text = changed("type: aws-private-ca", "type: internal\n  key_folder: keys").replace(
        "validity: 5y", "validity: 30y"
    )
    assert [problem.code for problem in problems(text)] == ["env.unsupported", "env.outlives"]


def test_loops_levels_and_missing_roots() -> None:
    loop = changed("    path_length: 1\n", "    issuer: clients\n")
    assert sorted({problem.code for problem in problems(loop)}) == ["env.anchor", "env.loop", "env.no-root"]
    deep = (
        SOUND.replace("    path_length: 1\n", "")
        .replace(
            "profiles:\n",
            "".join(
                f"  l{n}: {{issuer: {'clients' if n == 3 else f'l{n - 1}'}, subject: {{common_name: L{n}}}, "
                f"validity: {8 - n}y, crl: {{validity: 7d}}}}\n"
                for n in range(3, 8)
            ).replace("8y", "4y")
            + "profiles:\n",
        )
        .replace("validity: 5y", "validity: 6y")
    )
    assert [(p.code, p.key_path) for p in problems(deep) if p.code == "env.depth"] == [
        ("env.depth", "authorities.l6.issuer"),
        ("env.depth", "authorities.l7.issuer"),
    ]


def test_no_message_repeats_a_value() -> None:
    secret = "hunter2-correct-horse"
    for old, new in [
        ('"111122223333"', f'"{secret}"'),
        ("schema: 1", f"schema: {secret}"),
        ("validity: 20y", f"validity: {secret}"),
        ("EC_secp384r1", secret),
        ("{from: request}", f"{{from: {secret}}}"),
        ("authority: clients", f"authority: {secret}"),
        ("pem: {}", f"pem: {{kind: {secret}}}"),
        ("pem: {}", f"pem: [{secret}]"),
        ("host: pki.dev.example.com", f"host: https://{secret}@x"),
        ("path_length: 1", f"path_length: {secret}"),
    ]:
        assert all(secret not in str(problem) for problem in problems(changed(old, new)))


def test_a_key_cannot_break_out_of_its_line() -> None:
    found = problems(changed("ledger: {", '"a\u00adb' + "x" * 200 + '": 1\nledger: {'))
    assert all("\n" not in str(problem) and len(problem.key_path) < 80 for problem in found)
