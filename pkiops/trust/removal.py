"""CAs that leave a bundle while certificates below them live: their clients would be refused from the next reload on.

What this module decides: which CAs leave, compared to what stands in the folder; how many live certificates are below each, by the ledger; and that
without consent nothing is written while there is one, or while nobody can tell. A CA whose certificate has expired, whose CRL in the folder has, or
that is revoked, lets nobody in any more: it goes without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from pkiops.environment.models import Revocation
from pkiops.errors import BackendError, GuardRefused, InputError
from pkiops.ledger.interface import Entry, EntryState
from pkiops.trust.bundle import BundleCertificate, TrustBundle
from pkiops.trust.standing import Standing
from pkiops.x509.certificate import CertificateView, load_certificate, view
from pkiops.x509.names import printable, rfc4514
from pkiops.x509.revoked import revoked_entry

# no CA is made for longer: what claims more is a forged manifest, or has no date
_LONGEST_LIFE = timedelta(days=40 * 366)
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_CRL_ONLY = "intermediate"
_RANKS = ("anchor", "intermediate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A CA that leaves a bundle; ``authority`` is ``root-g1``, ``role`` what it was. ``live`` is None where nobody can tell.

    ``not_after`` is the end of its certificate, beyond which none below it lives; None where that is not known.
    """

    bundle: str
    authority: str
    role: str
    subject: str
    sha256: str | None
    ski: str | None
    not_after: datetime | None
    live: int | None = None
    last: datetime | None = None

    def describe(self) -> str:
        """One line about it, for people."""
        name = f"{self.role} {self.authority} ({printable(self.subject)[:200]}) leaves bundle {self.bundle}"
        if self.live is None:
            return f"{name}: how many live certificates are below it is not known"
        if not self.live or self.last is None:
            return f"{name}: no live certificate is below it"
        counted = "1 live certificate is" if self.live == 1 else f"{self.live:,} live certificates are"
        return f"{name}: {counted} below it, the last until {self.last.strftime(_MOMENT)}"


def find_removals(standing: Standing, bundle: TrustBundle, at: datetime) -> tuple[Removal, ...]:
    """The CAs that stand in a folder, still let clients in at ``at`` (aware), and would no longer do so with ``bundle``.

    A CA that was renewed with its key stays, whichever of its certificates is there.
    """
    digests, listed = _identities(bundle.certificates)
    left_out, _ = _identities(bundle.left_out)
    # an old root may have no key identifier, its CRL names the key all the same
    speaking = {(one.checked.view.issuer, one.checked.authority_key_identifier) for one in bundle.crls}
    members = _identities(bundle.members)[1] | speaking
    found: dict[tuple[str, str | None], Removal] = {}
    for one in standing.certificates:
        if one.not_after <= at or one.sha256 in digests | left_out or (one.ski and (one.subject, one.ski) in listed):
            continue
        removal = Removal(
            bundle=bundle.name,
            authority=one.authority,
            role=one.role,
            subject=one.subject,
            sha256=one.sha256,
            ski=one.ski,
            not_after=one.not_after,
        )
        found[one.subject, one.ski] = removal
    # a CA of which only the CRL is there lives below what is there
    anchored_until = max((one.not_after for one in standing.certificates), default=None)
    for crl in standing.crls if bundle.revocation is not Revocation.NONE else ():
        # without its CRL, clients below a CA are refused as they are without its root
        if crl.next_update > at and (crl.issuer, crl.aki) not in members | set(found):
            found[crl.issuer, crl.aki] = Removal(
                bundle=bundle.name,
                authority=crl.authority,
                role=_CRL_ONLY,
                subject=crl.issuer,
                sha256=None,
                ski=crl.aki,
                not_after=anchored_until,
            )
    return tuple(found.values())


def merged(removals: Iterable[Removal]) -> tuple[Removal, ...]:
    """Each CA that leaves a bundle once, however many targets it leaves."""
    found: dict[tuple[str, str, str | None], Removal] = {}
    for one in sorted(removals, key=lambda r: (r.bundle, _RANKS.index(r.role), r.authority, r.sha256 or "")):
        found.setdefault((one.bundle, one.subject, one.ski or one.sha256), one)
    return tuple(found.values())


def counted(
    removals: Sequence[Removal], bundles: Sequence[TrustBundle], entries: Iterable[Entry], at: datetime
) -> tuple[Removal, ...]:
    """The removals with the number of live certificates below each, and when the last one expires.

    Args:
        removals: the CAs that leave.
        bundles: what is to be rendered: a certificate below a CA that their CRLs revoke is not live.
        entries: those of the ledger that may be live.
        at: the moment (aware) at which a certificate must live.
    """
    cas = _Cas([one.checked.crl for bundle in bundles for one in bundle.crls])
    live, last = [0] * len(removals), [at] * len(removals)
    for entry in entries:
        if entry.state is not EntryState.ISSUED or entry.revocation or entry.not_after is None or entry.not_after <= at:
            continue
        above = [cas.view(der) for der in entry.chain[1:]]
        if any(cas.is_revoked(der) for der in entry.chain[1:]):
            continue
        for number, one in enumerate(removals):
            if any(_is(one, ca) for ca in above):
                live[number] += 1
                last[number] = max(last[number], entry.not_after)
    return tuple(
        replace(one, live=live[number], last=last[number] if live[number] else None)
        for number, one in enumerate(removals)
    )


def _until(removals: Sequence[Removal], at: datetime) -> datetime:
    """The moment beyond which nothing below these CAs lives: a ledger that is asked month by month must not be asked for ever."""
    furthest = at + _LONGEST_LIFE
    return min(furthest, max(one.not_after or furthest for one in removals)) + timedelta(seconds=1)


def require_consent(
    removals: Sequence[Removal],
    bundles: Sequence[TrustBundle],
    live_entries: Callable[[datetime], Iterable[Entry]] | None,
    *,
    at: datetime,
    allow_removal: bool,
) -> tuple[Removal, ...]:
    """Count what is below the CAs that leave, and refuse to go on where anything is.

    Args:
        removals: the CAs that leave.
        bundles: what is to be rendered.
        live_entries: the entries of the ledger that have not expired and do so before a moment (aware); None where there is no ledger.
        at: the moment (aware).
        allow_removal: go on all the same.

    Raises:
        GuardRefused: code ``guard.removal``: certificates below one of them live, or nobody can tell, and that is not allowed.
    """
    if not removals:
        return ()
    why = "there is no ledger here"
    if live_entries is not None:
        try:
            removals = counted(removals, bundles, live_entries(_until(removals, at)), at)
        except (BackendError, InputError, GuardRefused) as error:
            why = f"the ledger cannot be read ({error.message})"
    harmful = [one for one in removals if one.live is None or one.live]
    if not harmful or allow_removal:
        return tuple(removals)
    unknown = any(one.live is None for one in harmful)
    lines = "; ".join(one.describe() for one in harmful[:10])
    more = f"; and {len(harmful) - 10} more" if len(harmful) > 10 else ""
    raise GuardRefused(
        f"{lines}{more}{f'; {why}' if unknown else ''}. Relying parties would refuse these clients",
        hint="render where the ledger can be read, or add --allow-removal where the removal was decided elsewhere"
        if unknown
        else "wait until the last one has expired or was replaced, or add --allow-removal",
        code="guard.removal",
        details={"removals": [as_data(one) for one in harmful]},
    )


def as_data(one: Removal) -> dict[str, object]:
    """A removal, JSON-ready."""
    return {
        "bundle": one.bundle,
        "authority": one.authority,
        "role": one.role,
        "subject": one.subject,
        "sha256": one.sha256,
        "live_certificates": one.live,
        "last_not_after": one.last.strftime(_MOMENT) if one.last else None,
    }


class _Cas:
    """The CAs above entries, each looked at once: there are few of them, however many entries there are."""

    def __init__(self, crls: Sequence[x509.CertificateRevocationList]) -> None:
        self._crls = crls
        self._views: dict[bytes, CertificateView] = {}
        self._revoked: dict[bytes, bool] = {}

    def view(self, der: bytes) -> CertificateView:
        if der not in self._views:
            self._views[der] = view(load_certificate(der, "the chain of a ledger entry"))
        return self._views[der]

    def is_revoked(self, der: bytes) -> bool:
        if der not in self._revoked:
            ca = load_certificate(der, "the chain of a ledger entry")
            issuer = rfc4514(ca.issuer)
            self._revoked[der] = any(
                rfc4514(crl.issuer) == issuer and revoked_entry(crl, ca.serial_number) is not None for crl in self._crls
            )
        return self._revoked[der]


def _is(removal: Removal, ca: CertificateView) -> bool:
    if ca.sha256 == removal.sha256:
        return True
    return removal.ski is not None and (ca.subject, ca.subject_key_identifier) == (removal.subject, removal.ski)


def _identities(certificates: Iterable[BundleCertificate]) -> tuple[set[str], set[tuple[str, str | None]]]:
    views = [view(one.certificate) for one in certificates]
    return {one.sha256 for one in views}, {(one.subject, one.subject_key_identifier) for one in views}
