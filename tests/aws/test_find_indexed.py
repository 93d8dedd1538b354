"""``cert issue`` by the published index: the fewest calls and rights there are, and every index that must not be believed (sandbox, IAM enforced)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import Result

from pkiops.environment.models import Persona
from pkiops.sandbox.traffic import Hindrances
from tests import builders
from tests.aws.persona_work import prepare
from tests.aws.persona_world import ADMINISTRATOR, TRUST_BUCKET, World, environment_text, world
from tests.aws.test_personas import less
from tests.seeded import SOAK

Body = dict[str, Any]
KEY = "dev/index.json"
LEDGER = {"ledger: {type: dynamodb, table: persona-dev-ledger}": "ledger: {type: sqlite, path: ledger.db}"}


def own_text() -> str:
    """Without ``access``, so that the tests may write the index, and with a ledger that makes no call."""
    head, _, rest = environment_text().partition("access:\n")
    text = head + rest[rest.index("authorities:\n") :]
    for old, new in LEDGER.items():
        assert old in text
        text = text.replace(old, new)
    return text


def pinned(text: str, pin: str, label: str = "root", field: str = "sha256") -> str:
    return text.replace(f"  {label}:\n", f"  {label}:\n    {field}: {pin}\n", 1)


def read_index(account: World) -> bytes:
    data: bytes = account.sandbox.client("s3").get_object(Bucket=TRUST_BUCKET, Key=KEY)["Body"].read()
    return data


def write_index(account: World, data: bytes) -> None:
    account.sandbox.client("s3").put_object(Bucket=TRUST_BUCKET, Key=KEY, Body=data)


def entry_of(body: Body, label: str) -> Body:
    (found,) = [one for one in body["authorities"] if one["authority"] == label]
    return dict(found)


def root_pin(account: World) -> str:
    return str(entry_of(json.loads(read_index(account)), "root")["chain"][0])


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("indexed")) as made:
        made.write(own_text())
        prepare(made)
        made.write(pinned(own_text(), root_pin(made)))
        yield made


@pytest.fixture
def honest(account: World) -> Iterator[Body]:
    """The index as ``ca apply`` wrote it, to be put back."""
    kept = read_index(account)
    yield json.loads(kept)
    write_index(account, kept)


def issue(account: World, credentials: Mapping[str, Any], csr: str = "@same.csr") -> Result:
    words = ("--profile", "service", "--csr", csr, "--format", "json")
    return account.run(credentials, "cert", "issue", "dev", *words)


def calls_of(account: World, work: Callable[[], Result]) -> tuple[Result, dict[str, int]]:
    account.sandbox.hinder(Hindrances())
    result = work()
    server = account.sandbox.server
    assert server is not None
    return result, {f"{service}:{name}": count for (service, name), count in server.sandbox.traffic.served.items()}


@pytest.mark.parametrize("csr", ["@same.csr", "@other.csr"])
def test_one_certificate_costs_three_calls_and_no_right_to_look_around(account: World, csr: str) -> None:
    policy = account.policy(Persona.ISSUER)
    assert {one["Sid"] for one in policy["Statement"]} == {"Issue", "Fetch", *(_sids_of_s3(policy))}
    assert len(_sids_of_s3(policy)) == 1
    result, calls = calls_of(account, lambda: issue(account, account.role("issuer", policy), csr))
    assert result.exit_code == 0, result.output
    # the two calls that make the role are the test's own
    ours = {name: count for name, count in calls.items() if not name.startswith(("iam:", "sts:AssumeRole"))}
    assert ours.pop("acm-pca:GetCertificate") >= 1  # until it is there
    assert ours == {"s3:GetObject": 1, "acm-pca:IssueCertificate": 1}


def _sids_of_s3(policy: Body) -> list[str]:
    return [one["Sid"] for one in policy["Statement"] if "s3:" in json.dumps(one["Action"])]


def test_no_part_of_the_policy_is_too_much(account: World) -> None:
    policy = account.policy(Persona.ISSUER)
    for what, smaller in less(policy, parts=SOAK):
        credentials = account.role("issuer", smaller)
        results = [issue(account, credentials, csr) for csr in ("@same.csr", "@other.csr")]
        assert any(one.exit_code == 6 for one in results), f"not needed: {what}"


def _environment(body: Body) -> None:
    body["environment"] = "prod"


def _account(body: Body) -> None:
    body["account"] = "999988887777"


def _account_of_the_ca(body: Body) -> None:
    for one in body["authorities"]:
        one["reference"] = one["reference"].replace("123456789012", "999988887777")


def _region(body: Body) -> None:
    body["region"] = "us-east-1"


def _region_of_the_ca(body: Body) -> None:
    for one in body["authorities"]:
        one["reference"] = one["reference"].replace("eu-west-1", "us-east-1")


def _chain(body: Body, *chain: builders.Issued | str) -> None:
    digests = []
    for one in chain:
        if isinstance(one, str):
            digests.append(one)
            continue
        der = one.certificate.public_bytes(Encoding.DER)
        digest = hashlib.sha256(der).hexdigest()
        body["certificates"][digest] = base64.b64encode(der).decode()
        digests.append(digest)
    for one_entry in body["authorities"]:
        if one_entry["authority"] == "clients":
            one_entry["chain"] = digests


def _another_authority(body: Body) -> None:
    """The root stands in for the CA that issues: everything about it is true but whose entry it is."""
    root = entry_of(body, "root")
    body["authorities"] = [root, {**root, "authority": "clients"}]


def _another_root(body: Body) -> None:
    root = builders.root_ca("dev Root")
    _chain(body, builders.subordinate_ca(root, "dev Clients"), root)


def _broken_signature(body: Body) -> None:
    forger = builders.root_ca("dev Root")
    _chain(body, builders.subordinate_ca(forger, "dev Clients"), entry_of(body, "root")["chain"][0])


def _format(body: Body) -> None:
    body["format_version"] = 2


FORGED: dict[str, tuple[Callable[[Body], None], str]] = {
    "another environment": (_environment, "index.foreign"),
    "another account": (_account, "index.foreign"),
    "a CA of another account": (_account_of_the_ca, "index.foreign"),
    "another region": (_region, "index.foreign"),
    "a CA of another region": (_region_of_the_ca, "index.foreign"),
    "another subject": (_another_authority, "index.subject"),
    "a chain to another root": (_another_root, "index.pin"),
    "a broken signature": (_broken_signature, "chain."),
    "another format": (_format, "index.unreadable"),
}


def refusal(account: World) -> tuple[int, str]:
    """How an administrator, who could look around, is refused; nothing was asked of a CA."""
    result, calls = calls_of(account, lambda: issue(account, ADMINISTRATOR))
    assert not [name for name in calls if name.startswith("acm-pca:")], calls
    error = json.loads(result.stderr.splitlines()[-1])["error"]
    assert "ca apply dev" in error["hint"]
    return result.exit_code, error["code"]


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_index_stops_everything(account: World, honest: Body, name: str) -> None:
    forge, code = FORGED[name]
    forge(honest)
    write_index(account, json.dumps(honest).encode())
    exit_code, found = refusal(account)
    assert exit_code == 8
    assert found.startswith(code)


@pytest.mark.parametrize(("cut", "code"), [("truncated", "index.unreadable"), ("50 MB", "store.too-big")])
def test_what_is_no_index_stops_everything(account: World, honest: Body, cut: str, code: str) -> None:
    data = json.dumps(honest).encode()
    write_index(account, data[: len(data) // 2] if cut == "truncated" else data + b" " * 50_000_000)
    assert refusal(account) == (8, code)


def _stale(account: World, honest: Body) -> None:
    write_index(account, json.dumps({**honest, "digest": "0" * 64}).encode())


def _without(account: World, honest: Body) -> None:
    others = [one for one in honest["authorities"] if one["authority"] != "clients"]
    write_index(account, json.dumps({**honest, "authorities": others}).encode())


def _missing(account: World, honest: Body) -> None:
    del honest
    account.sandbox.client("s3").delete_object(Bucket=TRUST_BUCKET, Key=KEY)


@pytest.mark.parametrize("make", [_stale, _without, _missing])
def test_an_index_of_another_time_is_passed_by_with_the_rights_to(
    account: World, honest: Body, make: Callable[[World, Body], None]
) -> None:
    make(account, honest)
    result, calls = calls_of(account, lambda: issue(account, ADMINISTRATOR))
    assert result.exit_code == 0, result.output
    assert "acm-pca:ListCertificateAuthorities" in calls
    refused = issue(account, account.role("issuer", account.policy(Persona.ISSUER)))
    assert refused.exit_code == 6
    hint = json.loads(refused.stderr.splitlines()[-1])["error"]["hint"]
    assert "ca apply dev" in hint


def test_an_index_that_may_not_be_read_is_passed_by_with_the_rights_to(account: World) -> None:
    account.write(own_text())
    by_tags = account.policy(Persona.ISSUER)
    account.write(pinned(own_text(), root_pin(account)))
    assert not _sids_of_s3(by_tags)
    result, calls = calls_of(account, lambda: issue(account, account.role("issuer", by_tags)))
    assert result.exit_code == 0, result.output
    assert calls["s3:GetObject"] == calls["acm-pca:ListCertificateAuthorities"] == 1


def test_a_pinned_arn_needs_no_list_and_an_index_must_name_it(account: World) -> None:
    arn, pin = account.authorities()["dev/clients"], root_pin(account)
    # without a pinned root the CA is asked for itself
    account.write(pinned(own_text(), arn, "clients", "arn"))
    try:
        policy = account.policy(Persona.ISSUER)
        assert {one["Sid"] for one in policy["Statement"]} == {"LookAtPinned", "Issue", "Fetch"}
        result, calls = calls_of(account, lambda: issue(account, account.role("issuer", policy)))
        assert result.exit_code == 0, result.output
        assert {name for name in calls if name.startswith(("acm-pca:", "s3:"))} == {
            "acm-pca:DescribeCertificateAuthority",
            "acm-pca:GetCertificateAuthorityCertificate",
            "acm-pca:IssueCertificate",
            "acm-pca:GetCertificate",
        }
        for what, smaller in less(policy, parts=SOAK):
            credentials = account.role("issuer", smaller)
            results = [issue(account, credentials, csr) for csr in ("@same.csr", "@other.csr")]
            assert any(one.exit_code == 6 for one in results), f"not needed: {what}"
    finally:
        account.write(pinned(own_text(), pin))


def test_an_index_that_names_another_ca_than_the_pinned_one_stops_everything(account: World, honest: Body) -> None:
    arn, pin = account.authorities()["dev/clients"], root_pin(account)
    account.write(pinned(pinned(own_text(), pin), arn, "clients", "arn"))
    write_index(account, _redigested(account, honest, arn))
    try:
        assert refusal(account) == (8, "index.arn")
    finally:
        account.write(pinned(own_text(), pin))


def _redigested(account: World, body: Body, arn: str) -> bytes:
    """The index made for the file as it is now, naming the neighbour of a CA."""
    from pkiops.environment.index import index_digest
    from pkiops.environment.load import load_environment

    digest = index_digest(load_environment("dev", account.folder / "environments"))
    other = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    return json.dumps({**body, "digest": digest}).replace(arn, other).encode()


def test_whoever_calls_from_another_account_is_refused_as_before(account: World) -> None:
    text = pinned(own_text(), root_pin(account))
    account.write(text.replace("123456789012", "999988887777"))
    try:
        result = issue(account, ADMINISTRATOR)
    finally:
        account.write(text)
    assert result.exit_code == 9
    assert json.loads(result.stderr.splitlines()[-1])["error"]["code"] == "guard.account"


def own_calls(
    account: World, *words: str, credentials: Mapping[str, Any] = ADMINISTRATOR
) -> tuple[Result, dict[str, int]]:
    result, calls = calls_of(account, lambda: account.run(credentials, *words))
    return result, {name: count for name, count in calls.items() if not name.startswith(("iam:", "sts:AssumeRole"))}


def a_certificate(account: World, validity: str) -> None:
    """Another one in ``one.pem``, for a validity that no other test asks for."""
    words = (
        "--profile",
        "service",
        "--csr",
        "@same.csr",
        "--validity",
        validity,
        "--output",
        "@one.pem",
        "--overwrite",
    )
    account.done("cert", "issue", "dev", *words)


def test_revoking_costs_the_index_and_the_revocation_and_needs_no_right_to_look_around(account: World) -> None:
    a_certificate(account, "11d")
    policy = account.policy(Persona.REVOKER)
    sids = {one["Sid"] for one in policy["Statement"]}
    assert not {sid for sid in sids if sid.startswith(("List", "Look", "Read"))} - set(_sids_of_s3(policy))
    words = ("cert", "revoke", "dev", "@one.pem", "--yes")
    result, calls = own_calls(account, *words, credentials=account.role("revoker", policy))
    assert result.exit_code == 0, result.output
    assert {name: calls[name] for name in calls if name.startswith("acm-pca:")} == {"acm-pca:RevokeCertificate": 1}
    assert calls["s3:GetObject"] == 1
    assert "sts:GetCallerIdentity" not in calls


def test_verifying_asks_no_ca(account: World) -> None:
    a_certificate(account, "12d")
    account.clock.advance(timedelta(hours=1))
    result, calls = own_calls(account, "cert", "verify", "@one.pem", "--env", "dev")
    assert result.exit_code == 0, result.output
    # the index, and the CRL of each of the two CAs
    assert calls == {"s3:GetObject": 3}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("verb", ["revoke", "verify"])
def test_a_forged_index_stops_revoking_and_verifying(account: World, honest: Body, name: str, verb: str) -> None:
    forge, code = FORGED[name]
    forge(honest)
    write_index(account, json.dumps(honest).encode())
    words = ("revoke", "dev", "@leaf.pem", "--yes") if verb == "revoke" else ("verify", "@leaf.pem", "--env", "dev")
    result, calls = own_calls(account, "cert", *words, "--format", "json")
    assert result.exit_code == 8, result.output
    assert json.loads(result.stderr.splitlines()[-1])["error"]["code"].startswith(code)
    assert calls == {"s3:GetObject": 1}


@pytest.mark.parametrize("make", [_stale, _without, _missing])
def test_without_an_index_of_this_time_the_service_is_asked_by_those_with_the_rights_to(
    account: World, honest: Body, make: Callable[[World, Body], None]
) -> None:
    a_certificate(account, "13d")
    account.clock.advance(timedelta(hours=1))
    make(account, honest)
    for words in (("verify", "@one.pem", "--env", "dev"), ("revoke", "dev", "@one.pem", "--yes")):
        result, calls = own_calls(account, "cert", *words)
        assert result.exit_code == 0, result.output
        assert calls["acm-pca:ListCertificateAuthorities"] == 1
    policy = account.policy(Persona.REVOKER)
    refused = account.run(account.role("revoker", policy), "cert", "revoke", "dev", "@one.pem", "--yes")
    assert refused.exit_code == 6
