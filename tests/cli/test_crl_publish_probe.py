"""``pkiops crl publish`` asks the distribution points afterwards: what is wrong there is said, and never makes it fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from pkiops.x509.certificate import crl_urls_of
from tests.cli.estate import Estate, running_estate
from tests.faults.proxy import faulty_proxy

_BUCKET = "example-pki-dev-crl"


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with running_estate(tmp_path_factory.mktemp("estate")) as estate:
        estate.issue("good")
        yield estate


def test_points_that_serve_what_is_published_are_no_news(estate: Estate) -> None:
    found = estate.done("crl", "publish", "dev", "--format", "json")
    points = json.loads(found.stdout)["distribution_points"]
    assert [(one["authority"], one["number"] == one["published_number"]) for one in points] == [
        ("root-g1", True),
        ("clients-g1", True),
    ]
    assert "distribution point" not in found.stderr


def test_a_point_that_serves_an_older_one_is_named(estate: Estate) -> None:
    certificate = x509.load_pem_x509_certificate((estate.folder / "good.pem").read_bytes())
    path = urlsplit(crl_urls_of(certificate)[0]).path
    old = estate.sandbox.client("s3").get_object(Bucket=_BUCKET, Key=path.lstrip("/"))["Body"].read()
    estate.issue("bad")
    estate.revoke("bad")
    with faulty_proxy(estate.sandbox.url) as cdn:
        cdn.answer = lambda name, status, body: (status, old if name == f"GET {path}" else body)
        found = estate.done("crl", "publish", "dev", "--connect-to", f"::{urlsplit(cdn.url).netloc}")
    assert "published: " in found.stdout
    (said,) = [line for line in found.stderr.splitlines() if "distribution point" in line]
    assert "distribution point of clients-g1: cdp.behind: " in said


def test_points_that_do_not_answer_do_not_matter(estate: Estate) -> None:
    found = estate.done("crl", "publish", "dev", "--connect-to", "pki.dev.example.com:80:127.0.0.1:1")
    assert found.stderr.count("cdp.unreachable") == 2
    assert "nothing new" in found.stdout or "published: " in found.stdout


def test_it_can_be_left_out(estate: Estate) -> None:
    found = estate.done("crl", "publish", "dev", "--no-probe", "--format", "json")
    assert json.loads(found.stdout)["distribution_points"] is None
    assert estate.run("crl", "publish", "dev", "--no-probe", "--connect-to", "127.0.0.1:1").exit_code == 2
