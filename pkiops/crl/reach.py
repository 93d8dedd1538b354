"""Fetches the distribution points of an environment as a relying party would, and says what is wrong with what it gets.

What this module decides: which URLs are asked (those that the CAs put into certificates now, and those in the certificates of CAs, which were put
there once, and those of published parts), that a plain GET has to do (RFC 5280 section 4.2.1.13: one CRL in DER; no redirect is followed, because
many relying parties follow none), and how bad each difference is. Only what verifies under the CA, is current, and is for all certificates of the CA
or for those that name the URL (section 6.3.3) counts as an answer. A host that does not answer at all is not asked for everything it should have.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509

from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import Clock
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl, read_one, scope_of
from pkiops.crl.connect import ConnectRule, stand_in
from pkiops.crl.download import Answer, ask_once, is_url
from pkiops.crl.status_facts import Finding, Severity, SkippedCheck
from pkiops.errors import InputError, Unreachable, VerificationFailed
from pkiops.x509.certificate import crl_urls_of, fingerprint

TIMEOUT_S = 10.0
CONTENT_TYPE = "application/pkix-crl"  # RFC 2585 section 4.2
_AT_ONCE = 4
# connections to a host that came to nothing, before the rest of what it should serve is not asked for: a CRL may have a thousand parts
_ENOUGH = 3
_MAX_AGE = re.compile(r"(?:^|[,\s])(s-maxage|max-age)\s*=\s*\"?([0-9]{1,10})")
_GUIDE = "docs/guides/crl-host.md"


@dataclass(frozen=True, slots=True)
class Point:
    """A URL that is in certificates, and the CA whose CRL has to be there; ``published`` is the CRL number in the trust bucket, if any."""

    url: str
    authority: str
    issuer: x509.Certificate = field(repr=False)
    published: int | None = None

    @property
    def host(self) -> str:
        """The host that has to answer."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbedPoint:
    """What came of one URL; ``answers``: a current CRL of its CA was there, whose DER has this ``sha256``."""

    point: Point
    answers: bool
    number: int | None = None
    sha256: str | None = None
    next_update: datetime | None = None
    findings: tuple[Finding, ...] = ()


def distribution_points(
    known: Sequence[KnownAuthority],
    crl_url: Callable[[ObservedAuthority], str | None],
    published: Mapping[str, int],
    parts: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[tuple[Point, ...], tuple[SkippedCheck, ...]]:
    """Every URL that certificates of these CAs name, and what cannot be asked.

    Args:
        known: the CAs.
        crl_url: the URL that a CA puts into certificates now.
        published: CRL numbers in the trust bucket, by the CA's name (``clients-g1``).
        parts: of a CRL in parts the number of each published one by its URL, by the CA's name.
    """
    names = {fingerprint(one.certificate): one.name for one in known}
    points: dict[tuple[str, str], Point] = {}
    skipped: list[SkippedCheck] = []

    def add(url: str, issuer: x509.Certificate, name: str, number: int | None) -> None:
        if not _may_ask(url):
            skipped.append(SkippedCheck("cdp", name, f"{url[:300]} is not http"))
            return
        key = (url, fingerprint(issuer))
        points.setdefault(key, Point(url, name, issuer, number))

    for one in known:
        url = crl_url(one.observed)
        in_parts = (parts or {}).get(one.name, {})
        for scope, number in in_parts.items():
            add(scope, one.certificate, one.name, number)
        if url is not None:
            add(url, one.certificate, one.name, published.get(one.name))
        elif one.observed.crl is not None and one.observed.crl.named and not in_parts:
            skipped.append(SkippedCheck("cdp", one.name, "its CRL is in parts, and none of them is known"))
    for one in known:
        if len(one.chain) > 1:
            name = names.get(fingerprint(one.chain[1]), f"the issuer of {one.name}")
            for url in crl_urls_of(one.certificate):
                add(url, one.chain[1], name, published.get(name))
    return tuple(points.values()), tuple(skipped)


def _may_ask(url: str) -> bool:
    """Whether it is an http URL; one in a certificate may be anything."""
    try:
        return is_url(url) and bool(urlsplit(url).hostname)
    except ValueError:
        return False


def probe(
    points: Sequence[Point],
    clock: Clock,
    *,
    rules: Sequence[ConnectRule] = (),
    timeout: float = TIMEOUT_S,
    silent: Collection[str] = (),
) -> tuple[ProbedPoint, ...]:
    """Ask each URL, a few at once, and judge what came.

    Args:
        points: the URLs.
        clock: the moment at which CRLs must be current, and the time that is waited.
        rules: where to connect in place of the URLs' hosts.
        timeout: seconds for each.
        silent: names of CAs that may have no CRL yet.
    """
    failed: Counter[str] = Counter()

    def ask(point: Point) -> ProbedPoint:
        try:
            if failed[point.host] >= _ENOUGH:
                raise Unreachable(f"{point.url} was not asked for: {point.host} did not answer {_ENOUGH} times")
            answer = ask_once(point.url, clock, connect_to=stand_in(rules, point.url), timeout=timeout)
        except (Unreachable, InputError) as error:
            failed[point.host] += isinstance(error, Unreachable)
            hint = f"somebody has to serve it: {_GUIDE}"
            found = _finding("cdp.unreachable", Severity.CRITICAL, point, error.message, hint)
            return ProbedPoint(point=point, answers=False, findings=(found,))
        return judge(point, answer, clock.now(), may_lack=point.authority in silent)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return tuple(pool.map(ask, points))


def judge(point: Point, answer: Answer, at: datetime, *, may_lack: bool = False) -> ProbedPoint:
    """What an answer is worth to a relying party at a moment (aware). Pure.

    Args:
        point: the URL.
        answer: what came.
        at: now.
        may_lack: the CA may have written no CRL yet.
    """
    refused = _refused(point, answer, may_lack=may_lack)
    if refused is not None:
        return ProbedPoint(point=point, answers=False, findings=(refused,))
    try:
        checked = _checked(point, answer.body, at)
    except VerificationFailed as error:
        code = error.code if error.code == "cdp.pem" else "cdp.invalid"
        hint = error.hint or "find out what is served there: pkiops crl show URL"
        found = _finding(code, Severity.CRITICAL, point, error.message, hint, unusable=True)
        return ProbedPoint(point=point, answers=False, findings=(found,))
    findings = tuple(_blemishes(point, answer, checked.number, checked.next_update, at))
    return ProbedPoint(
        point=point,
        answers=True,
        number=checked.number,
        sha256=checked.view.sha256,
        next_update=checked.next_update,
        findings=findings,
    )


def compared(probed: Sequence[ProbedPoint], published: Mapping[str, Collection[str]]) -> tuple[ProbedPoint, ...]:
    """The same with a finding where a URL serves the number that is published, and other bytes. Pure.

    Args:
        probed: what came.
        published: SHA-256 of what is published, by the CA's name.
    """
    return tuple(_compared(one, published.get(one.point.authority, ())) for one in probed)


def _compared(one: ProbedPoint, published: Collection[str]) -> ProbedPoint:
    if not one.answers or one.number != one.point.published or one.sha256 in published:
        return one
    message = f"{one.point.url} serves another CRL than the published one with the same number {one.number}"
    hint = "one number stands for one CRL: find out who wrote the other one"
    return replace(
        one, findings=(*one.findings, _finding("cdp.other-bytes", Severity.CRITICAL, one.point, message, hint))
    )


def _checked(point: Point, body: bytes, at: datetime) -> CheckedCrl:
    """The CRL that was served; raises VerificationFailed where relying parties could not use it."""
    name = f"the CRL at {point.url}"
    pem = VerificationFailed(
        f"{point.url} serves PEM, and relying parties expect DER (RFC 5280 section 4.2.1.13)",
        hint="serve the service's own bucket",
        code="cdp.pem",
    )
    if body.lstrip()[:5] == b"-----":
        raise pem
    loaded = read_one(body, name)
    if loaded.der != body:  # PEM with text before it
        raise pem
    scope = None if scope_of(loaded.crl, name) is None else point.url
    return check_crl(loaded.crl, point.issuer, name, at=at, margin=timedelta(0), der=loaded.der, scope=scope)


def _refused(point: Point, answer: Answer, *, may_lack: bool) -> Finding | None:
    """What is wrong where no CRL came at all."""
    if answer.location is not None:
        message = f"{point.url} answers HTTP {answer.status} and points to {answer.location[:200]!r}; relying parties do not follow"
        hint = "serve the CRL at the URL itself, over plain HTTP (CloudFront: viewer protocol policy allow-all)"
        return _finding("cdp.redirect", Severity.CRITICAL, point, message, hint)
    if answer.status in {403, 404}:
        message = f"{point.url} answers HTTP {answer.status}"
        if may_lack:
            hint = "the service writes the first CRL of a CA with the first certificate that points to it"
            return _finding("cdp.awaited", Severity.INFO, point, f"{message}: its CA has no CRL yet", hint)
        hint = f"may the CDN read the bucket (publication.crl.distribution, pkiops ca apply)? {_GUIDE}"
        return _finding("cdp.not-found", Severity.CRITICAL, point, message, hint)
    if answer.status != 200:
        message, hint = f"{point.url} answers HTTP {answer.status}", "look at what serves it"
        return _finding("cdp.http-status", Severity.CRITICAL, point, message, hint)
    return None


def _blemishes(point: Point, answer: Answer, number: int, next_update: datetime, at: datetime) -> Iterator[Finding]:
    """What is wrong with an answer that can be used."""
    if point.url.lower().startswith("https:"):
        message = f"{point.url} is https: to fetch it, a relying party first has to trust somebody else's certificate"
        yield _finding("cdp.https", Severity.WARNING, point, message, "RFC 5280 section 8 advises against it")
    if point.published is not None and number < point.published:
        message = f"{point.url} serves CRL number {number}, and number {point.published} is published"
        hint = "who serves it keeps it for too long: shorten what the CDN caches, or wait"
        yield _finding("cdp.behind", Severity.WARNING, point, message, hint)
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != CONTENT_TYPE:
        message = f"{point.url} is served as {kind[:80] or 'nothing'}, and not as {CONTENT_TYPE}"
        yield _finding("cdp.content-type", Severity.INFO, point, message, "most relying parties do not look (RFC 2585)")
    kept = cached_for(answer.headers)
    if kept is not None and at + kept > next_update:
        message = f"{point.url} may be kept for {int(kept.total_seconds())} s, beyond the end of the CRL ({next_update:%Y-%m-%dT%H:%M:%SZ})"
        hint = "a cache on the way would hand out an expired CRL: lower Cache-Control"
        yield _finding("cdp.cached-too-long", Severity.WARNING, point, message, hint)


def cached_for(headers: Mapping[str, str]) -> timedelta | None:
    """How long an answer may still be kept: the longest lifetime of Cache-Control less its Age (RFC 9111 section 4.2); None where it says nothing."""
    found = [int(seconds) for _, seconds in _MAX_AGE.findall(headers.get("cache-control", "").lower())]
    if not found:
        return None
    age = headers.get("age", "").strip()
    spent = int(age) if age.isascii() and age.isdigit() and len(age) <= 10 else 0
    return timedelta(seconds=min(max(0, max(found) - spent), 10**9))


def _finding(
    code: str, severity: Severity, point: Point, message: str, hint: str, *, unusable: bool = False
) -> Finding:
    return Finding(
        code=code, severity=severity, authority=point.authority, message=message, hint=hint, unusable=unusable
    )
