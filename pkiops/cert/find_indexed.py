"""Which CA issues, without asking the service: out of the published index, where the file pins the root above the CA.

What this module decides: that one authority's entry is enough to issue, whatever the index says of the others. A CA that is not ACTIVE refuses to
issue by itself, and a CRL address that is not the declared one is found when the certificate is compared with the intent (step 9).

What passes an index by, and what makes it stop everything, is ``crl.indexed``'s; how a CA is judged that was asked for itself is ``issuer``'s.
"""

from __future__ import annotations

from pkiops.cert.issuer import Issuer, check_pins
from pkiops.clock import Clock
from pkiops.crl.declared import as_declared
from pkiops.crl.indexed import PassedBy, judge_index, require_pinned_arn
from pkiops.environment.index import AuthorityIndex, trusted_entry
from pkiops.environment.models import Environment
from pkiops.stores.interface import Store
from pkiops.x509.certificate import load_certificate


def indexed_issuer(environment: Environment, store: Store, label: str, clock: Clock) -> Issuer | PassedBy:
    """The CA with that label as the index names it, in one read; or why the service has to be asked.

    Args:
        environment: the file; it pins the root above the authority.
        store: the trust bucket.
        label: the authority.
        clock: the moment as of which the chain must be valid.

    Raises:
        VerificationFailed: the index holds what no ``ca`` verb writes (codes of ``trusted_entry``, ``decode_index`` and ``store.too-big``).
        BackendError: the bucket does not answer.
    """

    def judge(index: AuthorityIndex, where: str) -> Issuer:
        # read only now: the clock may follow the answers of the server
        entry = trusted_entry(index, environment, label, at=clock.now())
        chain = tuple(load_certificate(der, where) for der in entry.chain)
        check_pins(environment, label, chain)
        require_pinned_arn(environment, label, entry.reference)
        observed = as_declared(environment, label, entry.reference, chain[0])
        return Issuer(label, entry.generation, observed, chain, indexed=True)

    return judge_index(environment, store, judge)
