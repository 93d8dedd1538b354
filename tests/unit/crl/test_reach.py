"""Distribution points as a relying party sees them: every answer that a server may give, judged; and real ones, over loopback."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.clock import SystemClock
from pkiops.crl.connect import parse_rule
from pkiops.crl.download import Answer
from pkiops.crl.reach import Point, ProbedPoint, cached_for, compared, distribution_points, judge, probe
from pkiops.crl.status_facts import Severity
from tests import builders
from tests.unit.crl.world import World

NOW = builders.AT
URL = "http://pki.example.com/crl/a.crl"
CA = builders.root_ca("Probed CA")
OTHER = builders.root_ca("Probed CA")
PLAIN = {"content-type": "application/pkix-crl"}


def crl_of(ca: builders.Issued = CA, number: int = 7, next_update: timedelta = timedelta(days=7)) -> bytes:
    made = builders.crl(ca, number=number, this_update=NOW - timedelta(days=1), next_update=NOW + next_update)
    return made.public_bytes(Encoding.DER)


def point(url: str = URL, published: int | None = 7) -> Point:
    return Point(url, "clients-g1", CA.certificate, published)


def judged(
    body: bytes = b"",
    *,
    status: int = 200,
    headers: Mapping[str, str] = PLAIN,
    location: str | None = None,
    url: str = URL,
    published: int | None = 7,
    may_lack: bool = False,
) -> ProbedPoint:
    return judge(point(url, published), Answer(status, headers, body, location), NOW, may_lack=may_lack)


def codes(found: ProbedPoint) -> list[str]:
    return [one.code for one in found.findings]


def test_a_current_crl_of_the_ca_answers() -> None:
    found = judged(crl_of())
    assert (found.answers, found.number, codes(found)) == (True, 7, [])
    assert found.point.host == "pki.example.com"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "cdp.invalid"),
        (b"<html>welcome</html>", "cdp.invalid"),
        (crl_of()[:-5], "cdp.invalid"),
        (crl_of() + b"\0", "cdp.invalid"),
        (CA.certificate.public_bytes(Encoding.DER), "cdp.invalid"),
        (crl_of(OTHER), "cdp.invalid"),
        (crl_of(next_update=timedelta(seconds=-1)), "cdp.invalid"),
        (b"\n-----BEGIN X509 CRL-----\n", "cdp.pem"),
    ],
)
def test_what_is_no_current_crl_of_the_ca_is_an_outage(body: bytes, code: str) -> None:
    found = judged(body)
    assert (found.answers, codes(found)) == (False, [code])
    assert found.findings[0].unusable
    assert found.findings[0].severity is Severity.CRITICAL


@pytest.mark.parametrize("before", [b"", b"\n", b"Certificate Revocation List (CRL):\n"])
def test_pem_is_refused_though_it_verifies(before: bytes) -> None:
    pem = builders.crl(CA, number=7, next_update=NOW + timedelta(days=7)).public_bytes(Encoding.PEM)
    assert codes(judged(before + pem)) == ["cdp.pem"]


def part_of(url: str) -> bytes:
    scope = x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    made = builders.crl(CA, number=7, next_update=NOW + timedelta(days=7), extra=[builders.Extra(scope, critical=True)])
    return made.public_bytes(Encoding.DER)


def test_a_part_answers_for_the_certificates_that_name_its_url_alone() -> None:
    found = judged(part_of(URL))
    assert (found.answers, codes(found)) == (True, [])
    assert codes(judged(part_of("http://pki.example.com/crl/other.crl"))) == ["cdp.invalid"]


def test_the_published_number_with_other_bytes_is_an_alarm() -> None:
    seen, newer = judged(crl_of()), judged(crl_of(number=8))
    digest = hashlib.sha256(crl_of()).hexdigest()
    assert seen.sha256 is not None
    assert compared([seen], {"clients-g1": {seen.sha256}}) == (seen,)
    (found,) = compared([seen], {"clients-g1": {digest}, "root-g1": {seen.sha256}})
    assert (digest != seen.sha256, codes(found)) == (True, ["cdp.other-bytes"])
    assert found.findings[0].severity is Severity.CRITICAL
    assert compared([newer, judged(status=500)], {}) == (newer, judged(status=500))


def test_a_host_that_does_not_answer_is_not_asked_for_a_thousand_parts() -> None:
    urls = [f"http://pki.example.com/crl/{number}.crl" for number in range(1000)]
    found = probe([point(one) for one in urls], _AtNow(), rules=[parse_rule("::127.0.0.1:1")], timeout=5)
    assert {code for one in found for code in codes(one)} == {"cdp.unreachable"}
    assert sum("was not asked for" in one.findings[0].message for one in found) > 990


def test_an_odd_url_in_the_certificate_of_a_ca_is_skipped(tmp_path: Path) -> None:
    _, clients = World(tmp_path).known()
    above = builders.root_ca("Root")
    below = builders.subordinate_ca(above, crl_urls=["http://[bad/a.crl", "http:///a.crl", "http://a..b/a.crl"])
    known = [replace(clients, chain=(below.certificate, above.certificate))]
    points, skipped = distribution_points(known, lambda _: None, {})
    assert [one.url for one in points] == ["http://a..b/a.crl"]
    assert [one.check for one in skipped].count("cdp") == 3
    (found,) = probe(points, _AtNow(), timeout=5)
    assert codes(found) == ["cdp.unreachable"]


@pytest.mark.parametrize(
    "where", ["https://pki.example.com/crl/a.crl", "http://other.example.com/a.crl", "/x\r\n\x1b[2J"]
)
def test_a_redirect_is_none_of_an_answer(where: str) -> None:
    found = judged(status=301, location=where)
    assert (found.answers, codes(found)) == (False, ["cdp.redirect"])
    assert "\x1b" not in found.findings[0].message


@pytest.mark.parametrize("status", [403, 404])
def test_nothing_there_is_an_outage_unless_the_ca_may_have_no_crl(status: int) -> None:
    assert codes(judged(status=status)) == ["cdp.not-found"]
    awaited = judged(status=status, may_lack=True)
    assert (awaited.answers, codes(awaited), awaited.findings[0].severity) == (False, ["cdp.awaited"], Severity.INFO)
    assert codes(judged(status=500, may_lack=True)) == ["cdp.http-status"]
    assert codes(judged(status=204)) == ["cdp.http-status"]


def test_blemishes_do_not_keep_it_from_answering() -> None:
    old = judged(crl_of(number=6))
    assert (old.answers, codes(old)) == (True, ["cdp.behind"])
    assert codes(judged(crl_of(number=8))) == []
    assert codes(judged(crl_of(), published=None)) == []
    assert codes(judged(crl_of(), headers={})) == ["cdp.content-type"]
    assert codes(judged(crl_of(), headers={"content-type": "Application/PKIX-CRL; charset=x"})) == []
    assert codes(judged(crl_of(), url="https://pki.example.com/a.crl")) == ["cdp.https"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "no-cache"}, None),
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "public, Max-Age=60, s-maxage=90"}, 90),
        ({"cache-control": "max-age=60", "age": "20"}, 40),
        ({"cache-control": "max-age=60", "age": "100"}, 0),
        ({"cache-control": "max-age=60", "age": "-9"}, 60),
        ({"cache-control": 'max-age="60"'}, 60),
        ({"cache-control": "x-max-age=60"}, None),
        ({"cache-control": "max-age=9999999999"}, 10**9),
    ],
)
def test_how_long_an_answer_is_kept(headers: dict[str, str], seconds: int | None) -> None:
    assert cached_for(headers) == (None if seconds is None else timedelta(seconds=seconds))


def test_what_is_kept_beyond_its_end_is_said() -> None:
    week = 7 * 86_400
    assert codes(judged(crl_of(), headers=PLAIN | {"cache-control": f"max-age={week}"})) == []
    assert codes(judged(crl_of(), headers=PLAIN | {"cache-control": f"max-age={week + 1}"})) == ["cdp.cached-too-long"]
    assert codes(judged(crl_of(), headers=PLAIN | {"cache-control": f"max-age={week + 9}", "age": "9"})) == []


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = crl_of() if self.headers["Host"] == "pki.example.com" else b"another host"
        if self.path == "/moved.crl":
            self.send_response(302)
            self.send_header("Location", "/crl/a.crl")
        else:
            self.send_response(200)
            self.send_header("Content-Type", "application/pkix-crl")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:10] if self.path == "/cut.crl" else body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd.server_port
    httpd.shutdown()
    httpd.server_close()
    thread.join(timeout=10)


class _AtNow(SystemClock):
    def now(self) -> datetime:
        return NOW


def test_points_are_asked_over_http_for_the_host_in_the_certificate(port: int) -> None:
    urls = [
        URL,
        "http://pki.example.com/moved.crl",
        "http://pki.example.com/cut.crl",
        "http://elsewhere.example.com/a.crl",
    ]
    found = probe([point(one) for one in urls], _AtNow(), rules=[parse_rule(f"::127.0.0.1:{port}")], timeout=10)
    assert [one.point.url for one in found] == urls
    assert [codes(one) for one in found] == [[], ["cdp.redirect"], ["cdp.unreachable"], ["cdp.invalid"]]


def test_nobody_answers() -> None:
    (found,) = probe([point()], _AtNow(), rules=[parse_rule("::127.0.0.1:1")], timeout=5)
    assert (found.answers, codes(found)) == (False, ["cdp.unreachable"])


def test_every_url_of_a_certificate_is_a_point_and_of_its_issuer(tmp_path: Path) -> None:
    root, clients = World(tmp_path).known()
    urls = ["http://old.example.com/root.crl", "ldap://old.example.com/root", "http://x.example.com/root"]
    above = builders.root_ca("Root")
    below = builders.subordinate_ca(above, crl_urls=urls)
    known = [replace(root, chain=(above.certificate,)), replace(clients, chain=(below.certificate, above.certificate))]
    points, skipped = distribution_points(
        known, lambda one: f"http://x.example.com/{'root' if one == root.observed else 'sub'}", {"root-g1": 3}
    )
    assert [(one.url, one.authority, one.published, one.issuer) for one in points] == [
        ("http://x.example.com/root", "root-g1", 3, above.certificate),
        ("http://x.example.com/sub", "clients-g1", None, below.certificate),
        ("http://old.example.com/root.crl", "root-g1", 3, above.certificate),
    ]
    assert [(one.authority, one.reason) for one in skipped] == [("root-g1", "ldap://old.example.com/root is not http")]
    offline, _ = distribution_points(known[1:], lambda _: None, {})
    assert [one.authority for one in offline] == ["the issuer of clients-g1"] * 2
    none, skipped = distribution_points(known[:1], lambda _: None, {})
    assert none == ()
    assert [one.check for one in skipped] == ["cdp"]
