"""Whatever a hostile merge request puts at any key of a file: it is refused with words, or it is one line of visible text.

One test for each bound of DESIGN.md section 4 that the file alone can break; what commands do with a file is
``tests/cli/test_hostile_environment.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pkiops.environment.endpoints import endpoint_problem, foreign_endpoints, is_foreign
from pkiops.environment.load import load_environment
from pkiops.environment.name_constraints import Boundary, holds, narrowest
from pkiops.environment.schema import json_schema
from pkiops.environment.sharing_checks import outsiders
from pkiops.errors import EnvironmentFileError, GuardRefused, InputError
from pkiops.x509.name_constraints import constraints
from tests.seeded import seeded
from tests.unit.environment.samples import SOUND, changed, problems, read

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Share",
            "Effect": "Allow",
            "Principal": {"AWS": ["111122223333", "arn:aws:iam::444455556666:role/issuer"]},
            "Action": ["acm-pca:IssueCertificate"],
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}},
        }
    ],
}
# every key that a file may hold today, as far as one authority can have them all
FULL: dict[str, Any] = yaml.safe_load(SOUND)
FULL["backend"] |= {
    "role_arn": "arn:aws:iam::111122223333:role/pki",
    "endpoint_urls": {"s3": "http://127.0.0.1:1"},
    "former_homes": [
        {
            "region": "us-east-1",
            "account": "444455556666",
            "role_arn": "arn:aws:iam::444455556666:role/pki",
            "access": {"issuer": "arn:aws:iam::444455556666:role/issuer"},
        }
    ],
}
FULL["access"] = {"issuer": "arn:aws:iam::111122223333:role/issuer"}
FULL["tags"] = {"team": "pki"}
FULL["authorities"]["clients"] |= {
    "generation": 2,
    "sha256": "0" * 64,
    "arn": "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555",
    "backend": {"region": "eu-west-1", "account": "111122223333"},
    "enabled": True,
    "usage_mode": "GENERAL_PURPOSE",
    "signing_algorithm": "SHA256WITHECDSA",
    "key_storage_security_standard": "FIPS_140_2_LEVEL_3_OR_HIGHER",
    "csr": {
        "key_usage": ["keyCertSign"],
        "subject_information_access": [{"method": "caRepository", "uri": "http://pki.example.com/"}],
    },
    "name_constraints": {"excluded": {"dns": ["x.example.org"]}},
    "crl": {"validity": "7d", "path": "crl", "host": "crl.example.com", "type": "COMPLETE", "omit_cdp": False},
    "ocsp": {"enabled": True, "host": "ocsp.example.com"},
    "tags": {"owner": "pki"},
    "policy": POLICY,
    "acm_permission": False,
}
HOSTILE = [
    "x\n= no-op dev/ca/root: as declared",
    "x\n",
    "\x1b[2J\x1b]0;owned\x07",
    "a\u202egpj.exe",
    "a\u061cb",
    "a\u200bb",
    "a\u00a0b",
    "a\U000e0041b",
    "\ud800",
    [[]],
    {"a": {"b": []}},
    {"x\ny": "1"},
    10**17,
    None,
]


def paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in entries:
        yield from paths(below, (*path, key))


def put(path: tuple[Any, ...], value: object) -> str:
    """The full sample with one value replaced, as YAML that escapes what cannot stand in it."""
    made = copy.deepcopy(FULL)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return yaml.safe_dump(made, allow_unicode=False)


def texts(value: object) -> Iterator[str]:
    """Every text in a loaded environment, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from texts(key)
            yield from texts(below)
    elif isinstance(value, (list, tuple)):
        for below in value:
            yield from texts(below)


def test_the_full_sample_is_sound() -> None:
    read(yaml.safe_dump(FULL))


@pytest.mark.parametrize("hostile", HOSTILE, ids=repr)
def test_at_any_key_it_is_refused_in_words_or_is_one_visible_line(hostile: object) -> None:
    from pkiops.environment.plain import as_data

    for path in paths(FULL):
        try:
            environment = read(put(path, hostile))
        except EnvironmentFileError as error:
            said = [problem.message + problem.key_path for problem in error.problems]
        else:
            said = list(texts(as_data(environment)))
        assert all(text.isprintable() for text in said), path


SHARING = [
    ("Principal", {"AWS": ["*"]}, "every AWS account"),
    ("Principal", {"AWS": "*"}, "every AWS account"),
    ("Principal", "arn:aws:iam::111122223333:root", "write {AWS"),
    ("Principal", {"AWS": "arn:aws:iam::*:root"}, "without wildcards"),
    ("Principal", {"AWS": "arn:aws:iam::444455556666:role/*"}, "without wildcards"),
    ("Principal", {"AWS": "444455556666", "Service": "acm.amazonaws.com"}, "write {AWS"),
    ("Principal", {"AWS": []}, "write {AWS"),
    ("Effect", ["Allow"], "write Allow or Deny"),
    ("Action", [], "IssueCertificate"),
    ("Action", "acm-pca:*", "IssueCertificate"),
    ("Action", ["acm-pca:DeleteCertificateAuthority"], "IssueCertificate"),
    ("Sid", "two words", "letters and digits"),
    ("Condition", {"StringEquals": {}}, "operators"),
    ("Condition", {"StringEquals": {"aws:PrincipalOrgID": []}}, "operators"),
    ("NotPrincipal", {"AWS": "111122223333"}, "here may stand"),
]


@pytest.mark.parametrize(("key", "value", "says"), SHARING)
def test_no_resource_policy_lets_everybody_in(key: str, value: object, says: str) -> None:
    statement: dict[str, Any] = {**POLICY["Statement"][0]}  # type: ignore[dict-item]
    if says == "every AWS account":
        del statement["Condition"]
    found = problems(put(("authorities", "clients", "policy", "Statement", 0), {**statement, key: value}))
    assert [p.code for p in found] == ["env.policy"], found
    assert says in found[0].message


@pytest.mark.parametrize(
    ("condition", "is_sound"),
    [
        ({"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}, True),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": ["o-abcdefghij/r-ab12/*"]}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/pki-*"}}, True),
        ({"StringLike": {"aws:PrincipalOrgID": "*"}}, False),
        ({"StringLike": {"aws:PrincipalOrgID": ["o-abcdefghij", "o-*"]}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/pki"}}, False),
        ({"StringNotEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}, False),
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abcdefghij"}}, False),
        ({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}, False),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
    ],
)
def test_a_condition_for_everybody_has_to_say_who_they_are(condition: object, is_sound: bool) -> None:
    statement = {**POLICY["Statement"][0], "Principal": "*", "Condition": condition}  # type: ignore[dict-item]
    text = put(("authorities", "clients", "policy", "Statement", 0), statement)
    if is_sound:
        read(text)
    else:
        assert "every AWS account" in problems(text)[0].message


def test_whom_a_policy_lets_in_is_told_from_whom_it_keeps_out() -> None:
    deny = {"Effect": "Deny", "Principal": {"AWS": "999999999999"}, "Action": "acm-pca:IssueCertificate"}
    everybody = {"Effect": "Allow", "Principal": "*", "Action": ["acm-pca:getcertificate", "acm-pca:ListTags"]}
    both = {"Statement": [*POLICY["Statement"], deny, everybody]}
    assert outsiders(both, "111122223333") == (
        "arn:aws:iam::444455556666:role/issuer, of account 444455556666, may IssueCertificate",
        "whoever meets its Condition, of any account, may GetCertificate and ListTags",
    )
    assert outsiders({}, "111122223333") == ()


@pytest.mark.parametrize(
    "path",
    ["/etc/x.db", "~/x.db", "../x.db", "a/../../x.db", "a\\x.db", ".git/hooks/post-checkout", ".bashrc", "conftest.py", "x.db/", "x"],
)  # fmt: skip
def test_the_ledger_is_a_database_below_the_working_directory(path: str) -> None:
    assert [p.code for p in problems(put(("ledger", "path"), path))] == ["env.ledger-path"]


@pytest.mark.parametrize(
    "bucket", ["pki-a1b2-s3alias", "x--ol-s3", "x--euw1-az1--x-s3", "x.mrap", "xn--pki", "sthree-x", "amzn-s3-demo-x"]
)
def test_a_bucket_is_no_access_point(bucket: str) -> None:
    (found,) = problems(put(("publication", "trust", "bucket"), bucket))
    assert (found.code, found.key_path) == ("env.bucket", "publication.trust.bucket")


@pytest.mark.parametrize("key", [("publication", "crl", "host"), ("authorities", "clients", "ocsp", "host")])
@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1", "localhost", "a..b", "h/latest", "h:80", "[::1]"])
def test_a_host_in_certificates_is_a_name(key: tuple[str, ...], host: str) -> None:
    (found,) = problems(put(key, host))
    assert "host name" in found.message


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:0", "http://127.0.0.1:99999", "http://127.999.0.1", "http://[:::]", "https://a..b", "https://-", "https://.", "http://1.2.3"],
)  # fmt: skip
def test_an_endpoint_that_leads_nowhere_is_misspelled(url: str) -> None:
    assert endpoint_problem("s3", url) is not None
    assert [p.code for p in problems(put(("backend", "endpoint_urls", "s3"), url))] == ["env.endpoint"]


@pytest.mark.parametrize(
    ("url", "foreign"),
    [("http://127.9.9.9:1", False), ("http://[0:0::1]", False), ("http://[::2]", True), ("http://10.0.0.1", True)],
)
def test_loopback_is_an_address_and_not_a_spelling(url: str, foreign: bool) -> None:
    assert is_foreign("s3", url) is foreign
    assert bool(foreign_endpoints(read(put(("backend", "endpoint_urls", "s3"), url)))) is foreign


def test_a_role_of_another_account_is_none_for_this_file() -> None:
    found = problems(put(("backend", "role_arn"), "arn:aws:iam::999999999999:role/mine"))
    assert {(p.code, p.key_path) for p in found} == {("env.account", "backend.role_arn")}


@pytest.mark.parametrize("validity", ["1001y", "999999y", "999999d"])
def test_no_validity_leaves_the_calendar(validity: str) -> None:
    found = problems(changed("validity: 20y", f"validity: {validity}"))
    assert [(p.code, p.key_path) for p in found] == [("env.validity", "authorities.root.validity")]


@pytest.mark.parametrize("key", ["pkiops:environment", "PKIOPS:x", "aws:x", "Aws:createdBy"])
@pytest.mark.parametrize("path", [("tags",), ("authorities", "clients", "tags")])
def test_no_tag_of_a_file_is_ours_or_that_of_aws(path: tuple[str, ...], key: str) -> None:
    (found,) = problems(put((*path, key), "other"))
    assert found.code == "env.tags"


def test_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "environments", tmp_path / "elsewhere"
    for one in (folder, elsewhere, folder / "data"):
        one.mkdir()
    for one in (folder / "data", elsewhere):
        (one / "file").write_text(SOUND, encoding="utf-8")
    (folder / "dev.yaml").symlink_to(folder / "data" / "file")  # as mounted configuration is
    assert load_environment("dev", folder).environment == "dev"
    (tmp_path / "linked").symlink_to(folder)
    assert load_environment("dev", tmp_path / "linked").environment == "dev"
    (folder / "dev.yaml").unlink()
    (folder / "dev.yaml").symlink_to(elsewhere / "file")
    with pytest.raises(GuardRefused) as caught:
        load_environment("dev", folder)
    assert caught.value.code == "guard.environment-link"


def test_thousands_of_patterns_and_bundles_are_judged_at_once() -> None:
    made: dict[str, Any] = yaml.safe_load(SOUND)
    made["authorities"]["clients"]["name_constraints"] = {"from": "profiles"}
    made["profiles"] = {}
    for n in range(200):
        names = [f"y{n}-{i}.b.example" for i in range(50)]
        profile = {"authority": "clients", "validity": {"default": "1d", "max": "2d"}, "san": {"dns": names}}
        made["profiles"][f"p{n}"] = profile
    (found,) = problems(yaml.safe_dump(made))
    assert "3072 bytes" in found.message
    made = yaml.safe_load(SOUND)
    made["authorities"]["root"]["crl"]["type"] = "PARTITIONED"
    made["trust"]["bundles"] = {f"b{n}": {"anchors": ["root"], "targets": {"pem": {}}} for n in range(1000)}
    assert [p.key_path for p in problems(yaml.safe_dump(made))] == ["authorities.root.crl.type"]


LABELS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map(".".join)
DOMAINS = LABELS.map(lambda text: ("dns", text))
HOSTS = st.tuples(st.sampled_from(["uri", "email"]), st.one_of(LABELS, LABELS.map(lambda text: f".{text}")))
BOXES = LABELS.map(lambda text: ("email", f"me@{text}"))
BLOCKS = st.integers(0, 4).map(lambda length: ("ip", str(ip_network((0xA0000000, length), strict=False))))
SUBTREES = st.lists(st.one_of(DOMAINS, HOSTS, BOXES, BLOCKS), max_size=8)


@seeded(200)
@given(SUBTREES)
def test_the_narrowest_subtrees_are_those_that_no_other_holds(found: list[tuple[str, str]]) -> None:
    unique = sorted(set(found))
    expected = [
        one for one in unique if not any(o != one and o[0] == one[0] and holds(one[0], o[1], one[1]) for o in unique)
    ]
    assert list(narrowest(found)) == expected


@seeded(200)
@given(SUBTREES, SUBTREES, SUBTREES)
def test_a_boundary_forbids_what_its_subtrees_forbid(
    permitted: list[tuple[str, str]], excluded: list[tuple[str, str]], asked: list[tuple[str, str]]
) -> None:
    boundary = Boundary.of(constraints(permitted, excluded))
    for form, value in asked:
        allowed = [limit for kind, limit in permitted if kind == form]
        outside = bool(allowed) and not any(holds(form, limit, value) for limit in allowed)
        denied = any(holds(form, limit, value) or holds(form, value, limit) for kind, limit in excluded if kind == form)
        assert boundary.forbids_some((form, value)) == (outside or denied)


def test_no_key_of_a_file_is_a_secret_a_command_or_a_file_of_the_machine() -> None:
    """Secrets are names (DESIGN.md section 4), and today no key needs one; a new key with such a name needs a bound and a test of its own."""
    schema = json_schema()
    places = [schema, *schema["$defs"].values()]
    keys = {key for place in places for key in place.get("properties", {})}
    telling = {
        "secret",
        "password",
        "passphrase",
        "token",
        "credential",
        "command",
        "hook",
        "script",
        "file",
        "dir",
        "url",
        "path",
        "key",
    }
    assert {key for key in keys if telling & {word.rstrip("s") for word in key.split("_")}} == {
        "endpoint_urls",  # foreign ones need --allow-endpoint
        "path",  # of the ledger, and a folder in the CRL bucket
        "path_length", "key_algorithm", "key_reuse", "key_usage", "key_storage_security_standard", "keys",
    }  # fmt: skip


@pytest.mark.parametrize(
    "label", ["../x", "a/b", "..", "a.b", "-a", "A", "a b", "a" * 41, "x\ny", "\u0430b", "con:", ""]
)
@pytest.mark.parametrize(
    "place",
    [("authorities",), ("profiles",), ("trust", "bundles"), ("trust", "bundles", "services", "targets")],
    ids=".".join,
)
def test_no_name_that_becomes_part_of_a_path_or_key_is_one(place: tuple[str, ...], label: str) -> None:
    made = copy.deepcopy(FULL)
    inner: Any = made
    for step in place:
        inner = inner[step]
    inner[label] = {"kind": "pem"} if place[-1] == "targets" else copy.deepcopy(next(iter(inner.values())))
    assert problems(yaml.safe_dump(made))
    with pytest.raises(InputError):
        load_environment(label, Path("environments"))
