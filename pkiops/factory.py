"""The composition root: an environment in, wired objects out.

What this module decides: which concrete backend, store, ledger and clock an environment means, where AWS calls go, and that
nothing is made before it is used. Use cases never import it; commands do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.clock import Clock, Randomness, ServerClock, SystemClock, SystemRandomness
from pkiops.environment.endpoints import endpoint_problem, is_foreign
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, InputError
from pkiops.progress import NoProgress, Progress

if TYPE_CHECKING:
    from pkiops.aws import AwsClients, CallerIdentity
    from pkiops.backends.aws_private_ca import AwsPrivateCa
    from pkiops.backends.prices import Prices
    from pkiops.ledger.interface import Entry, Ledger
    from pkiops.stores.interface import Store
    from pkiops.stores.s3_buckets import S3Buckets

SANDBOX_URL = "http://127.0.0.1:4599"
_SERVICES = ("acm-pca", "s3", "sts", "iam", "resourcegroupstaggingapi")
# what AWS calls a service in AWS_ENDPOINT_URL_..., where that is not its name in upper case
_VARIABLES = {"resourcegroupstaggingapi": "RESOURCE_GROUPS_TAGGING_API"}


class Factory:
    """Wired objects of one environment, each made when first asked for.

    Args:
        environment: the environment.
        allow_endpoint: accept endpoints that are neither AWS nor this machine.
        prices: a JSON file of prices in place of the listed ones.
        variables: the process environment.
        clock: the system's clock unless a test brings another.
        randomness: the system's unless a test brings another.
        progress: is told what takes long.

    Raises:
        GuardRefused: an endpoint is neither AWS nor this machine, and that was not allowed.
        InputError: an endpoint in ``variables`` is no URL.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        allow_endpoint: bool = False,
        prices: Path | None = None,
        variables: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.environment = environment
        self.progress: Progress = progress or NoProgress()
        self._prices = prices
        self._variables = os.environ if variables is None else variables
        self._endpoints, self._from_shell = self._find_endpoints()
        self._refuse_foreign_endpoints(allow_endpoint=allow_endpoint)
        system = clock or SystemClock()
        # where the endpoint is not AWS its clock may have been moved, and ours follows
        self._server_clock = ServerClock(system) if self._endpoints else None
        self.clock: Clock = self._server_clock or system
        self.randomness: Randomness = randomness or SystemRandomness()

    @cached_property
    def clients(self) -> AwsClients:
        """AWS clients of the environment's account and region."""
        from pkiops.aws import AwsAccess, AwsClients

        backend = self.environment.backend
        access = AwsAccess(
            region=backend.region,
            account=backend.account,
            role_arn=backend.role_arn,
            endpoint_urls=self._endpoints,
            sandbox=backend.sandbox,
        )
        return AwsClients(
            access,
            follow=self._server_clock.follow if self._server_clock else None,
            clock=self.clock,
            randomness=self.randomness,
            progress=self.progress,
        )

    @cached_property
    def backend(self) -> AwsPrivateCa:
        """The certificate authorities."""
        from pkiops.backends.aws_private_ca import AwsPrivateCa

        prices = None if self._prices is None else _prices_of(self._prices)
        return AwsPrivateCa(self.clients, self.clock, prices)

    @cached_property
    def buckets(self) -> S3Buckets:
        """The publication buckets as resources."""
        from pkiops.stores.s3_buckets import S3Buckets

        return S3Buckets(self.clients, self.clock)

    @cached_property
    def trust_store(self) -> Store:
        """The trust bucket: bundles and chain-complete CRL sets."""
        from pkiops.stores.s3 import S3Store

        return S3Store(self.clients, self.environment.publication.trust.bucket)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of requests.

        Raises:
            GuardRefused: its path leaves the working directory through a link.
        """
        from pkiops.ledger.sqlite import SqliteLedger

        path = Path(self.environment.ledger.path)
        if not path.resolve().is_relative_to(Path.cwd()):
            raise GuardRefused(
                f"ledger {path} leads out of the working directory, to {path.resolve()}",
                hint="a link is in the way: remove it, or run pkiops in the folder that it leads to",
                code="guard.ledger-path",
            )
        return SqliteLedger(path, self.clock, self.randomness)

    def known_entries(self) -> Callable[[], Iterable[Entry]] | None:
        """Reads the ledger's entries; None where no ledger was begun yet. Makes none."""
        if not Path(self.environment.ledger.path).exists():
            return None
        return lambda: self.ledger.entries(self.environment.environment)

    @cached_property
    def identity(self) -> CallerIdentity:
        """Who AWS says we are (sts:GetCallerIdentity)."""
        return self.clients.caller_identity()

    def caller(self) -> str:
        """The ARN of the caller."""
        return self.identity.arn

    def check_account(self) -> None:
        """Refuse to work against any account but the file's.

        Raises:
            GuardRefused: the caller belongs to another account.
            BackendError: the caller cannot be asked for.
        """
        wanted = self.environment.backend.account
        if self.identity.account != wanted:
            raise GuardRefused(
                f"environment {self.environment.environment} belongs to account {wanted}, "
                f"but the caller {self.identity.arn} is of account {self.identity.account}",
                hint="switch to credentials of that account, or correct backend.account in the file",
                code="guard.account",
            )

    def notices(self) -> tuple[str, ...]:
        """What the person at the keyboard should know about where calls go."""
        if self.environment.backend.sandbox:
            return ()
        return tuple(
            f"note: {service} calls go to {self._endpoints[service]} ({source})"
            for service, source in self._from_shell.items()
        )

    def _find_endpoints(self) -> tuple[dict[str, str], dict[str, str]]:
        backend = self.environment.backend
        if backend.sandbox:
            url = self._variables.get("PKIOPS_SANDBOX_URL") or SANDBOX_URL
            return dict.fromkeys(_SERVICES, _checked(_SERVICES[0], url, "PKIOPS_SANDBOX_URL")), {}
        endpoints: dict[str, str] = {str(service): url for service, url in backend.endpoint_urls.items()}
        sources = dict.fromkeys(endpoints, "environment file")
        for service in _SERVICES:
            for variable in (f"AWS_ENDPOINT_URL_{_variable(service)}", "AWS_ENDPOINT_URL"):
                url = self._variables.get(variable, "")
                if url and service not in endpoints:
                    endpoints[service] = _checked(service, url, variable)
                    sources[service] = variable
        return endpoints, sources

    def _refuse_foreign_endpoints(self, *, allow_endpoint: bool) -> None:
        if self.environment.backend.sandbox:
            return  # dummy credentials, to where PKIOPS_SANDBOX_URL says
        foreign = sorted({url for service, url in self._endpoints.items() if is_foreign(service, url)})
        if foreign and not allow_endpoint:
            raise GuardRefused(
                f"environment {self.environment.environment} would send AWS calls to {', '.join(foreign)}, "
                "which is neither AWS nor this machine",
                hint="if that is meant, run again with --allow-endpoint",
                code="guard.endpoint",
            )


def _prices_of(path: Path) -> Prices:
    from pkiops.backends.aws_private_ca.prices import MAX_BYTES, read_prices

    try:
        with path.open("rb") as stream:
            return read_prices(stream.read(MAX_BYTES + 1), str(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", code="usage.prices") from error


def _variable(service: str) -> str:
    return _VARIABLES.get(service) or service.upper().replace("-", "_")


def _checked(service: str, url: str, variable: str) -> str:
    problem = endpoint_problem(service, url)
    if problem:
        raise InputError(f"{variable} is not an endpoint", hint=problem, code="usage.endpoint")
    return url
