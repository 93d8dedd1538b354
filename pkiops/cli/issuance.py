"""Issuance over a factory: what every verb that issues is wired with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkiops.cli.wiring import progress_of
from pkiops.errors import NotSupported

if TYPE_CHECKING:
    import typer

    from pkiops.cert.issue import Issuance
    from pkiops.cert.issuer import Issuer
    from pkiops.cert.prepare import RequireReachable
    from pkiops.factory import Factory


def issuance_of(ctx: typer.Context, factory: Factory) -> Issuance:
    """Issuance of one certificate after another; who calls is asked for once, and only where no credential or index says enough."""
    from pkiops.cert.issue import Issuance

    return Issuance(
        environment=factory.environment,
        backend=factory.backend,
        ledger=factory.ledger,
        clock=factory.clock,
        requester=lambda: caller_at_home(factory),
        progress=progress_of(ctx),
        store=factory.trust_store,
        credential=factory.credential,
        ci_identity=factory.ci_identity,
        require_reachable=_reach_guard(factory),
    )


def _reach_guard(factory: Factory) -> RequireReachable:
    """What the file asks of distribution points before a CA issues; nothing is read where it asks for nothing."""
    from pkiops.cert.prepare import require_nothing

    if not factory.environment.publication.crl.require_reachable:
        return require_nothing
    from pkiops.cli.crl_probe import sandbox_rules
    from pkiops.crl.authorities import KnownAuthority
    from pkiops.crl.reached import ReachGuard

    guard = ReachGuard(
        factory.environment,
        factory.trust_store,
        factory.backend.crl_url,
        factory.clock,
        rules=lambda: sandbox_rules(factory),
    )

    def require(issuer: Issuer) -> None:
        guard.require(KnownAuthority(issuer.label, issuer.generation, issuer.observed, issuer.chain))

    return require


def issuance_of_many(ctx: typer.Context, factory: Factory) -> Issuance:
    """The same for very many: whoever schedules them waits, not each of them, and a CA is looked at now and then.

    Raises:
        NotSupported: the backend cannot be asked without its waiting.
    """
    from dataclasses import replace

    from pkiops.backends.interface import MakesSingleCalls
    from pkiops.cert.bulk_parts import KeptIssuers
    from pkiops.progress import NoProgress

    backend: object = factory.backend
    if not isinstance(backend, MakesSingleCalls):
        raise NotSupported(f"the backend of {factory.environment.environment} cannot issue in bulk")
    return replace(
        issuance_of(ctx, factory),
        backend=backend.single_calls(),
        keep_issuer=KeptIssuers(factory.clock),
        progress=NoProgress(),
    )


def caller_at_home(factory: Factory) -> str:
    """The ARN of who calls, once the account is known to be the right one.

    The home of the CA that issues is looked at when it is asked; an issuer needs no rights in the others.

    Raises:
        GuardRefused: the caller is of another account.
    """
    factory.check_account(everywhere=False)
    return factory.caller()
