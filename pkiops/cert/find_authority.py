"""Which CA issues for a profile: the one that the published index names, if the file pins the root above it; else the one that carries the tags.

What this module decides: when the index is gone past (there is none, it may not be read, it was made for another version of the file), and when it
stops everything, because nobody but a ``ca`` verb writes it and something else is in it: authorities of another environment, account or Region,
another subject, a chain that is broken or ends in another root. By the index nothing is asked of the service before the certificate itself, so what
the file declares of the CA is taken for true: a CA that is not ACTIVE refuses by itself, and what is not as declared is found in step 9.

What an index is, and what makes an entry trustworthy, is ``environment.index``; how a CA is judged that was asked for itself is ``issuer.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from pkiops.backends.interface import AuthorityStatus, AuthorityType, ObservedAuthority, ReadsAuthorities
from pkiops.cert.issuer import Issuer, active_issuer, check_pins
from pkiops.clock import Clock
from pkiops.crl.declared import crl_settings
from pkiops.environment.hierarchy import declaration, root_of
from pkiops.environment.index import MAX_BYTES, decode_index, index_key, trusted_entry
from pkiops.environment.models import Environment
from pkiops.environment.subjects import subject_fields
from pkiops.errors import AccessDenied, NotFound, VerificationFailed
from pkiops.progress import Progress
from pkiops.stores.interface import Store
from pkiops.x509.algorithms import default_signing_algorithm

# of an index that is honest, but not of this file: the service knows better
_OUT_OF_DATE = frozenset({"index.stale"})


@dataclass(frozen=True, slots=True)
class AuthorityFinder:
    """Finds the CA that issues.

    Args:
        environment: the file.
        backend: the CAs.
        store: the trust bucket, for the index; None where there is none.
        clock: the moment as of which chains must be valid.
        progress: is told when the index is of no use.
    """

    environment: Environment
    backend: ReadsAuthorities
    store: Store | None
    clock: Clock
    progress: Progress

    def find(self, label: str) -> Issuer:
        """The CA with that label, able to issue as far as one can know without asking it for anything.

        Raises:
            VerificationFailed: the index was tampered with (codes of ``trusted_entry``), or a chain is not sound or not the pinned one.
            NotFound: it does not exist.
            InvalidState: it exists, but cannot issue.
            GuardRefused: two CAs claim to be it, or its CRL is not where the environment file says.
            AccessDenied: neither the index nor the service may be asked.
        """
        why = None
        if is_indexed(self.environment, label) and self.store is not None:
            try:
                return self._indexed(label, self.store)
            except (NotFound, AccessDenied) as error:
                why = error.message
            except VerificationFailed as error:
                if error.code not in _OUT_OF_DATE:
                    self._advise(error)
                    raise
                why = error.message
            self.progress.step(f"looking for {self._name(label)} in the service: {why}")
        try:
            return active_issuer(self.environment, self.backend, label, self.clock)
        except AccessDenied as error:
            if why is not None:
                name = self.environment.environment
                error.hint = f"without the index it has to be looked for, and that needs more rights: {why}; pkiops ca apply {name} writes the index"
            raise

    def _indexed(self, label: str, store: Store) -> Issuer:
        environment = self.environment
        key = index_key(environment.environment)
        found = store.get(key, max_bytes=MAX_BYTES)
        if found is None:
            raise NotFound(f"{store.describe()} has no {key}", code="index.missing")
        # read only now: the clock may follow the answers of the server
        entry = trusted_entry(decode_index(found.data), environment, label, at=self.clock.now())
        pinned = environment.authorities[label].arn
        if pinned is not None and pinned != entry.reference:
            raise VerificationFailed(
                f"the index names {entry.reference} for {self._name(label)}, but the file pins {pinned}",
                code="index.stale",
            )
        chain = tuple(x509.load_der_x509_certificate(der) for der in entry.chain)
        check_pins(environment, label, chain)
        return Issuer(label, entry.generation, as_declared(environment, label, entry.reference, chain[0]), chain)

    def _advise(self, error: VerificationFailed) -> None:
        name = self.environment.environment
        where = f"{self.store.describe()}/{index_key(name)}" if self.store else index_key(name)
        error.hint = (
            f"find out who wrote {where}: only the ca verbs of pkiops do; pkiops ca apply {name} writes it anew"
        )

    def _name(self, label: str) -> str:
        return f"{self.environment.environment}/ca/{label}"


def is_indexed(environment: Environment, label: str) -> bool:
    """Whether the index may count for an authority: the file pins the root above it."""
    return declaration(environment, root_of(environment, label)).sha256 is not None


def as_declared(environment: Environment, label: str, reference: str, own: x509.Certificate) -> ObservedAuthority:
    """What is known of a CA without asking for it: its certificate, and what the file declares.

    An OCSP responder that the file does not speak of may be there: ``ca apply`` leaves it as it is.
    """
    declared = environment.authorities[label]
    return ObservedAuthority(
        reference=reference,
        type=AuthorityType.SUBORDINATE if declared.issuer else AuthorityType.ROOT,
        status=AuthorityStatus.ACTIVE,
        subject=subject_fields(declared.subject),
        key_algorithm=declared.key_algorithm.value,
        signing_algorithm=(declared.signing_algorithm or default_signing_algorithm(declared.key_algorithm)).value,
        usage_mode=declared.usage_mode.value,
        created_at=own.not_valid_before_utc,
        not_before=own.not_valid_before_utc,
        not_after=own.not_valid_after_utc,
        crl=crl_settings(environment, declared),
        ocsp=declared.ocsp is None or declared.ocsp.enabled,
    )
