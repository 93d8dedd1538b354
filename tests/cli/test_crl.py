"""``pkiops crl``: what it prints and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.x509 import pem
from pkiops.x509.certificate import crl_urls_of
from tests import builders
from tests.cli.estate import Estate, running_estate
from tests.raw_crl import crl_der, entry, random_entries, reason

ROOT = builders.root_ca()
CRL = builders.crl(ROOT, revoked={0xBAD: x509.ReasonFlags.superseded, 0xABC: None}, number=7)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Estate]:
    with running_estate(tmp_path) as estate:
        yield estate


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A good client, a revoked one, and files of a CA that is not of this environment. No test changes anything in it."""
    folder = tmp_path_factory.mktemp("estate")
    with running_estate(folder) as estate:
        estate.issue("good")
        estate.issue("bad")
        estate.revoke("bad")
        (folder / "foreign.crl").write_bytes(CRL.public_bytes(Encoding.DER))
        (folder / "foreign.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
        yield estate


def url_of(estate: Estate) -> str:
    certificate = x509.load_pem_x509_certificate((estate.folder / "good.pem").read_bytes())
    return crl_urls_of(certificate)[0]


def connect_to(estate: Estate) -> tuple[str, str]:
    return "--connect-to", f"127.0.0.1:{estate.sandbox.port}"


def test_publish_from_the_first_certificate_to_a_revocation(fresh: Estate) -> None:
    early = fresh.run("crl", "publish", "dev")
    assert early.exit_code == 8
    assert early.stdout == ""
    assert "dev/ca/clients-g1" in early.stderr
    assert "hint: the service writes the first CRL" in early.stderr

    fresh.issue("bad")
    first = fresh.done("crl", "publish", "dev")
    assert "published: s3://example-pki-dev-trust/dev/crl/" in first.stdout
    again = fresh.done("crl", "publish", "dev")
    assert "nothing new" in again.stdout

    fresh.revoke("bad")
    body = json.loads(fresh.done("crl", "publish", "dev", "--format", "json").stdout)
    assert (body["kind"], body["environment"], body["moved"]) == ("crl-publish", "dev", True)
    assert [(one["authority"], one["change"], one["entries"]) for one in body["crls"]] == [
        ("root", "unchanged", 0),
        ("clients", "updated", 1),
    ]
    store = fresh.sandbox.client("s3")
    kinds = {"crl": "application/pkix-crl", "pem": "application/x-pem-file", "json": "application/json"}
    for one in store.list_objects_v2(Bucket="example-pki-dev-trust", Prefix="dev/crl/")["Contents"]:
        head = store.head_object(Bucket="example-pki-dev-trust", Key=one["Key"])
        cache = "no-cache" if one["Key"].endswith("/current.json") else "public, max-age=31536000, immutable"
        assert (head["ContentType"], head["CacheControl"]) == (kinds[one["Key"].rpartition(".")[2]], cache), one["Key"]
    current = store.get_object(Bucket="example-pki-dev-trust", Key="dev/crl/current.json")
    assert json.loads(current["Body"].read())["manifest_sha256"] == body["manifest_sha256"]
    folder = f"dev/crl/{body['manifest_sha256']}/"
    der = store.get_object(Bucket="example-pki-dev-trust", Key=f"{folder}clients-g1.crl")
    assert len(x509.load_der_x509_crl(der["Body"].read())) == 1


def test_a_set_without_the_crl_of_a_ca_above_is_not_published(fresh: Estate) -> None:
    fresh.issue("orders")
    fresh.done("crl", "publish", "dev")
    private_ca = fresh.sandbox.client("acm-pca")
    root = next(
        one for one in private_ca.list_certificate_authorities()["CertificateAuthorities"] if one["Type"] == "ROOT"
    )
    private_ca.update_certificate_authority(CertificateAuthorityArn=root["Arn"], Status="DISABLED")
    fresh.done("crl", "publish", "dev")
    private_ca.delete_certificate_authority(CertificateAuthorityArn=root["Arn"])
    result = fresh.run("crl", "publish", "dev")
    assert result.exit_code == 8
    assert "clients-g1 is below CN=Example Dev Root CA G1" in result.stderr


def test_show_a_file(estate: Estate) -> None:
    result = estate.done("crl", "show", "@foreign.crl", "--entries")
    assert "number       7" in result.stdout
    assert "not checked here" in result.stdout
    assert "superseded" in result.stdout
    body = json.loads(estate.done("crl", "show", "@foreign.crl", "--entries", "--format", "json").stdout)
    shown = body["crls"][0]
    assert (body["kind"], shown["number"], shown["entries"]) == ("crl-show", 7, 2)
    assert [(one["serial"], one["reason"]) for one in shown["revoked"]] == [("bad", "superseded"), ("abc", None)]


def test_show_several_with_odd_entries_one_by_one(estate: Estate) -> None:
    issuer, private_key = ROOT.name.public_bytes(), builders.key()
    odd = [entry(-5, reason(7)), entry(b"\x01" * 30), entry(2, reason(1)), entry(2)]
    lists = [
        crl_der(private_key, issuer, made, this_update=builders.AT)
        for made in (odd, None, [random_entries(3000, 1)[0]])
    ]
    text = b"".join(pem.encode(one, pem.X509_CRL) for one in lists)
    shown = estate.run("crl", "show", "-", "--entries", stdin=text).stdout
    assert shown.count("issuer ") == 3
    assert f"\n{'-5':40}  2026-05-01T12:30:00Z  unreadable\n" in shown
    assert len(shown.splitlines()) == 3 * 8 + 2 + 2 + 4 + 3000
    as_json = json.loads(estate.run("crl", "show", "-", "--entries", "--format", "json", stdin=text).stdout)
    assert [len(one["revoked"]) for one in as_json["crls"]] == [4, 0, 3000]
    assert [one["serial"] for one in as_json["crls"][0]["revoked"]] == ["-5", "1" + "01" * 29, "2", "2"]
    assert [one["entries"] for one in as_json["crls"]] == [4, 0, 3000]
    plain = json.loads(estate.run("crl", "show", "-", "--format", "json", stdin=text).stdout)
    assert [set(one) for one in plain["crls"]] == [set(one) - {"revoked"} for one in as_json["crls"]]


def test_a_file_that_is_larger_than_a_crl_may_be_is_one_clear_error(estate: Estate) -> None:
    with (estate.folder / "huge.crl").open("wb") as huge:
        huge.write(b"\x30\x84\x10\x00\x00\x00")
        huge.truncate(128 * 1024 * 1024 + 1)
    for command in (("show", "@huge.crl"), ("verify", "@huge.crl", "--issuer", "@foreign.pem")):
        result = estate.run("crl", *command)
        assert result.exit_code == 2
        assert result.stderr.count("error:") == 1
        assert "more than a certificate revocation list may have" in result.stderr
    (estate.folder / "huge.crl").unlink()


def test_show_standard_input(estate: Estate) -> None:
    result = estate.run("crl", "show", "-", stdin=CRL.public_bytes(Encoding.PEM))
    assert result.exit_code == 0
    assert "number       7" in result.stdout


def test_show_what_a_certificate_points_to(estate: Estate) -> None:
    result = estate.done("crl", "show", url_of(estate), *connect_to(estate), "--entries")
    assert "revoked      1" in result.stdout
    assert "keyCompromise" in result.stdout


def test_verify_what_a_certificate_points_to(estate: Estate) -> None:
    result = estate.done("crl", "verify", url_of(estate), *connect_to(estate), "--env", "dev")
    assert "dev/ca/clients-g1" in result.stdout
    assert "verified as of" in result.stdout
    late = estate.run(
        "crl", "verify", url_of(estate), *connect_to(estate), "--env", "dev", "--at", "2099-01-01T00:00:00Z"
    )
    assert late.exit_code == 8
    assert "expired" in late.stderr


def test_the_address_may_be_given_as_curl_has_it(estate: Estate) -> None:
    address = connect_to(estate)[1]
    for rule in (f"::{address}", f"pki.dev.example.com:80:{address}"):
        estate.done("crl", "show", url_of(estate), "--connect-to", rule)
    aside = ("--connect-to", "pki.dev.example.com:80:127.0.0.1:9", "--connect-to", f"::{address}")
    elsewhere = estate.run("crl", "show", url_of(estate), *aside)
    assert elsewhere.exit_code == 6
    assert (
        f"cannot fetch {url_of(estate)}: Connection refused\nhint: does anything listen at 127.0.0.1:9?"
        in elsewhere.stderr
    )


def test_verify_of_a_sandbox_environment_asks_the_sandbox(estate: Estate) -> None:
    assert "dev/ca/clients-g1" in estate.done("crl", "verify", url_of(estate), "--env", "dev").stdout


def test_verify_under_a_file_of_cas(estate: Estate) -> None:
    at = ("--at", "2026-06-01T12:00:00Z")
    body = json.loads(
        estate.done("crl", "verify", "@foreign.crl", "--issuer", "@foreign.pem", *at, "--format", "json").stdout
    )
    assert (body["kind"], body["verified"], body["at"]) == ("crl-verify", True, "2026-06-01T12:00:00Z")
    foreign = estate.run("crl", "verify", "@foreign.crl", "--env", "dev")
    assert foreign.exit_code == 8
    assert "is not of dev/ca/root-g1, dev/ca/clients-g1" in foreign.stderr
    assert "hint: every CRL of a file is verified" in foreign.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "@none"), 2),
        (("show", "@good.pem"), 2),
        (("show", "file:///etc/passwd"), 2),
        (("show", "http://user:x@127.0.0.1/"), 2),
        (("show", "http://127.0.0.1:9/x.crl"), 6),
        (("show", "http://pki.example.com/x", "--connect-to", "nonsense"), 2),
        (("show", "@foreign.crl", "--connect-to", "127.0.0.1:9"), 2),
        (("verify", "@foreign.crl"), 2),
        (("verify", "@foreign.crl", "--issuer", "@foreign.pem", "--env", "dev"), 2),
        (("verify", "@foreign.crl", "--issuer", "@foreign.pem", "--at", "tomorrow"), 2),
        (("verify", "@foreign.crl", "--issuer", "@good.key"), 2),
        (("verify", "@foreign.crl", "--env", "nowhere"), 2),
        (("publish", "nowhere"), 2),
    ],
)
def test_errors(estate: Estate, arguments: tuple[str, ...], code: int) -> None:
    result = estate.run("crl", *arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
