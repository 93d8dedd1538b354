"""One backend out of several, each of one account and region: every call goes to where its authority lives.

What this module decides: that the ARN of an authority says where it lives, a request to create one says so itself, and what is neither belongs to the
default home, the first. Lists are read from all homes at once and merged. Errors name the home they come from. A subordinate in one home is signed by
its issuer in another without any sharing between the two: each call is made with the role of its own home.

Nothing here knows a service; what a home's backend can do is said by the Protocols that it implements.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pkiops.backends.auditing import AuditedCertificate, AuditReport, AuditsIssuance, PublishesCrlsInParts
from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityRequest,
    ConfirmsTags,
    CreatesAuthorities,
    CrlSettings,
    ExpectedCertificate,
    IssuanceRequest,
    IssuesCertificates,
    KeepsCrlsInBucket,
    ObservedAuthority,
    OcspSettings,
    PublishesOwnCrls,
    ReadsAuthorities,
    RevocationOutcome,
    RevocationReason,
    RevokesCertificates,
    SharesAuthorities,
    TagsAuthorities,
)
from pkiops.backends.lint_findings import KnownLintFinding, KnowsLintFindings
from pkiops.backends.permissions import AuthorityRights, StatesPermissions
from pkiops.backends.prices import HasPrices
from pkiops.backends.retiring import RetiresAuthorities
from pkiops.errors import BackendError, NotFound
from pkiops.homes import Home, home_of_reference

if TYPE_CHECKING:
    from datetime import datetime

    from pkiops.backends.prices import Prices

_T = TypeVar("_T")
# homes that are asked at the same time; more would only wait for this machine
_READERS = 8


class HomeBackend(
    ReadsAuthorities,
    ConfirmsTags,
    CreatesAuthorities,
    TagsAuthorities,
    SharesAuthorities,
    RetiresAuthorities,
    IssuesCertificates,
    RevokesCertificates,
    PublishesOwnCrls,
    KeepsCrlsInBucket,
    StatesPermissions,
    HasPrices,
    PublishesCrlsInParts,
    AuditsIssuance,
    Protocol,
):
    """What the backend of one home can do."""

    def caller_policies(self) -> tuple[str, ...]:
        """The ARNs of the managed policies attached to the caller there."""

    def single_calls(self) -> HomeBackend:
        """See ``MakesSingleCalls``."""


class RoutedAuthorities:
    """Certificate authorities in several homes.

    Args:
        backends: makes the backend of each home when it is first needed; the first is the default.
    """

    def __init__(self, backends: Mapping[Home, Callable[[], HomeBackend]]) -> None:
        self._backends = dict(backends)
        self._default = next(iter(self._backends))
        self._made: dict[Home, HomeBackend] = {}
        # making one may take calls (a role to be assumed): each home waits for its own only
        self._locks = {home: threading.Lock() for home in self._backends}

    @property
    def homes(self) -> tuple[Home, ...]:
        """Where the authorities are, the default first."""
        return tuple(self._backends)

    def at_home(self, home: Home) -> RoutedAuthorities:
        """The same for one home alone, which is asked for nothing yet.

        Raises:
            NotFound: the environment has no such home (code ``ca.elsewhere``).
        """
        if home not in self._backends:
            raise _elsewhere(f"the environment has no authorities in {home}")
        return RoutedAuthorities({home: partial(self._backend, home)})

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        """Every CA of every home, oldest first."""

        def read(home: Home) -> tuple[ObservedAuthority, ...]:
            with _at(home):
                return self._backend(home).list_authorities()

        with ThreadPoolExecutor(max_workers=min(_READERS, len(self._backends))) as pool:
            found = [one for several in pool.map(read, self._backends) for one in several]
        return tuple(sorted(found, key=lambda one: (one.created_at, one.reference)))

    def confirm_tags(self, authorities: Sequence[ObservedAuthority]) -> tuple[ObservedAuthority, ...]:
        """The same CAs in the same order with the tags that each gives itself, every home asked at once."""
        by_home: dict[Home, list[ObservedAuthority]] = {}
        for one in authorities:
            by_home.setdefault(self._home_of(one.reference), []).append(one)

        def ask(home: Home) -> tuple[ObservedAuthority, ...]:
            with _at(home):
                return self._backend(home).confirm_tags(by_home[home])

        with ThreadPoolExecutor(max_workers=min(_READERS, len(by_home) or 1)) as pool:
            answers = {one.reference: one for several in pool.map(ask, by_home) for one in several}
        return tuple(answers[one.reference] for one in authorities)

    def describe_authority(self, reference: str) -> ObservedAuthority:
        """One CA, without its tags."""
        return self._of(reference, lambda backend: backend.describe_authority(reference))

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        """The CA's certificate and those above it."""
        return self._of(reference, lambda backend: backend.authority_chain(reference))

    def create_authority(self, request: AuthorityRequest) -> str:
        """Create a CA in the home that the request names."""
        home = request.home or self._default
        with _at(home):
            return self._backend(home).create_authority(request)

    def authority_csr(self, reference: str) -> bytes:
        """The CA's own certification request."""
        return self._of(reference, lambda backend: backend.authority_csr(reference))

    def sign_authority(self, request: AuthorityCertificateRequest) -> tuple[bytes, ...]:
        """Have a CA certificate signed, in the home of the issuer."""
        return self._of(request.issuer, lambda backend: backend.sign_authority(request))

    def install_authority(self, reference: str, chain: Sequence[bytes]) -> None:
        """Install a CA's certificate, in the home of that CA."""
        self._of(reference, lambda backend: backend.install_authority(reference, chain))

    def configure_revocation(self, reference: str, crl: CrlSettings, ocsp: OcspSettings | None = None) -> None:
        """Change how a CA publishes revocation."""
        self._of(reference, lambda backend: backend.configure_revocation(reference, crl, ocsp))

    def set_enabled(self, reference: str, *, enabled: bool) -> None:
        """Enable or disable a CA."""
        self._of(reference, lambda backend: backend.set_enabled(reference, enabled=enabled))

    def delete_authority(self, reference: str, *, days: int) -> None:
        """Delete a CA that is not ACTIVE."""
        self._of(reference, lambda backend: backend.delete_authority(reference, days=days))

    def restore_authority(self, reference: str) -> None:
        """Bring a DELETED CA back."""
        self._of(reference, lambda backend: backend.restore_authority(reference))

    def tag_authority(self, reference: str, tags: Mapping[str, str]) -> None:
        """Add or change tags."""
        self._of(reference, lambda backend: backend.tag_authority(reference, tags))

    def authority_policy(self, reference: str) -> Mapping[str, Any] | None:
        """The CA's resource policy."""
        return self._of(reference, lambda backend: backend.authority_policy(reference))

    def put_authority_policy(self, reference: str, policy: Mapping[str, Any]) -> None:
        """Put a resource policy in the place of whatever is there."""
        self._of(reference, lambda backend: backend.put_authority_policy(reference, policy))

    def delete_authority_policy(self, reference: str) -> None:
        """Remove the resource policy."""
        self._of(reference, lambda backend: backend.delete_authority_policy(reference))

    def acm_permission(self, reference: str) -> tuple[str, ...]:
        """What AWS Certificate Manager may do with the CA."""
        return self._of(reference, lambda backend: backend.acm_permission(reference))

    def set_acm_permission(self, reference: str, *, allowed: bool) -> None:
        """Give AWS Certificate Manager its permission, or take it away."""
        self._of(reference, lambda backend: backend.set_acm_permission(reference, allowed=allowed))

    @property
    def known_lint_findings(self) -> Sequence[KnownLintFinding]:
        """What the recipes of the first home's backend break: all homes have the same."""
        first = self._backend(self._default)
        return first.known_lint_findings if isinstance(first, KnowsLintFindings) else ()

    def expect_certificate(self, request: IssuanceRequest, authority: ObservedAuthority) -> ExpectedCertificate:
        """The certificate that a request will lead to."""
        return self._of(request.authority, lambda backend: backend.expect_certificate(request, authority))

    def request_certificate(self, request: IssuanceRequest) -> str:
        """Ask for a certificate."""
        return self._of(request.authority, lambda backend: backend.request_certificate(request))

    def fetch_certificate(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        """The certificate and those above it."""
        return self._of(authority, lambda backend: backend.fetch_certificate(authority, certificate))

    def revoke_certificate(self, authority: str, serial: str, reason: RevocationReason) -> RevocationOutcome:
        """Revoke by serial."""
        return self._of(authority, lambda backend: backend.revoke_certificate(authority, serial, reason))

    def single_calls(self) -> RoutedAuthorities:
        """The same over the single calls of each home (MakesSingleCalls)."""
        return RoutedAuthorities({home: partial(self._single, home) for home in self._backends})

    def _single(self, home: Home) -> HomeBackend:
        return self._backend(home).single_calls()

    def crl_url(self, authority: ObservedAuthority) -> str | None:
        """The URL written into certificates."""
        return self._of(authority.reference, lambda backend: backend.crl_url(authority))

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        """The CRL as the service wrote it."""
        return self._of(authority.reference, lambda backend: backend.fetch_crl(authority))

    def fetch_crl_parts(self, authority: ObservedAuthority) -> Iterator[tuple[str, bytes]]:
        """Everything in the CA's CRL folder that may be a part of its CRL."""
        return self._each(authority.reference, lambda backend: backend.fetch_crl_parts(authority))

    def audit_report(self, reference: str, bucket: str, *, since: datetime) -> AuditReport:
        """A report of what the CA has issued."""
        return self._of(reference, lambda backend: backend.audit_report(reference, bucket, since=since))

    def newest_audit_report(self, reference: str, bucket: str) -> AuditReport | None:
        """The newest report of the CA that is in the bucket."""
        return self._of(reference, lambda backend: backend.newest_audit_report(reference, bucket))

    def read_audit_report(self, report: AuditReport) -> Iterator[bytes]:
        """The report as it was written, in pieces."""
        return self._each(report.authority, lambda backend: backend.read_audit_report(report))

    def audited_certificates(self, pieces: Iterable[bytes], reference: str) -> Iterator[AuditedCertificate]:
        """The rows of a report."""
        return self._each(reference, lambda backend: backend.audited_certificates(pieces, reference))

    def crl_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        """The statements of the one CRL bucket, which is in the default home."""
        return self._backend(self._default).crl_bucket_policy(bucket)

    def authority_permissions(self, rights: AuthorityRights) -> tuple[dict[str, Any], ...]:
        """The statements behind ``rights``; ``rights.homes`` says where."""
        return self._backend(self._default).authority_permissions(rights)

    @property
    def prices(self) -> Prices:
        """What everything costs."""
        return self._backend(self._default).prices

    def monthly_cost_usd(self, usage_mode: str, region: str | None = None) -> float:
        """What one CA costs, USD per month."""
        return self._backend(self._default).monthly_cost_usd(usage_mode, region)

    def caller_policies(self) -> tuple[str, ...]:
        """The managed policies attached to the caller in the default home; each home's backend tells its own."""
        return self._backend(self._default).caller_policies()

    def _backend(self, home: Home) -> HomeBackend:
        with self._locks[home]:
            if home not in self._made:
                self._made[home] = self._backends[home]()
            return self._made[home]

    def _of(self, reference: str, call: Callable[[HomeBackend], _T]) -> _T:
        """Make a call where the CA with that ARN lives.

        Raises:
            NotFound: that is nowhere in this environment (code ``ca.elsewhere``).
        """
        home = self._home_of(reference)
        with _at(home):
            return call(self._backend(home))

    def _each(self, reference: str, call: Callable[[HomeBackend], Iterator[_T]]) -> Iterator[_T]:
        """What a call gives one by one, where the CA with that ARN lives; an error on the way names the home, too."""
        home = self._home_of(reference)
        with _at(home):
            return _named(home, call(self._backend(home)))

    def _home_of(self, reference: str) -> Home:
        home = home_of_reference(reference)
        if home is None or home not in self._backends:
            where = f"lives in {home}, where the environment has no authorities" if home else "is no ARN of a CA"
            raise _elsewhere(f"{reference} {where}")
        return home


def _named(home: Home, several: Iterator[_T]) -> Iterator[_T]:
    with _at(home):
        yield from several


def _elsewhere(message: str) -> NotFound:
    return NotFound(
        message,
        hint="write backend at the authority, or backend.former_homes for those of older generations",
        code="ca.elsewhere",
    )


@contextlib.contextmanager
def _at(home: Home) -> Iterator[None]:
    try:
        yield
    except BackendError as error:
        if "home" not in error.details:
            error.message = f"{home}: {error.message}"
            error.details["home"] = {"account": home.account, "region": home.region}
        raise
