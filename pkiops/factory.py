"""The composition root: an environment in, wired objects out.

What this module decides: which concrete backend, store, ledger and clock an environment means, where AWS calls go, and that
nothing is made before it is used. Use cases never import it; commands do.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.ci_identity import ci_identity
from pkiops.clock import Clock, Randomness, ServerClock, SystemClock, SystemRandomness
from pkiops.environment.endpoints import endpoint_problem, is_foreign
from pkiops.environment.homes import Roles, homes_of, persona_of
from pkiops.environment.models import DynamoDbLedger, Environment
from pkiops.errors import BackendError, GuardRefused, InputError
from pkiops.progress import NoProgress, Progress

if TYPE_CHECKING:
    from pkiops.aws import AwsClients, CallerIdentity
    from pkiops.backends.aws_private_ca import AwsPrivateCa
    from pkiops.backends.prices import Prices
    from pkiops.backends.routed import RoutedAuthorities
    from pkiops.homes import Home
    from pkiops.ledger.interface import Entry, Ledger
    from pkiops.ledger.tables import Tables
    from pkiops.stores.interface import Store
    from pkiops.stores.s3_buckets import S3Buckets
    from pkiops.stores.secret_places import SecretPlace

SANDBOX_URL = "http://127.0.0.1:4599"
_AT_ONCE = 8  # homes asked for who we are there
_SERVICES = ("acm-pca", "s3", "sts", "iam", "resourcegroupstaggingapi", "secretsmanager", "ssm")
# what AWS calls a service in AWS_ENDPOINT_URL_..., where that is not its name in upper case
_VARIABLES = {"resourcegroupstaggingapi": "RESOURCE_GROUPS_TAGGING_API", "secretsmanager": "SECRETS_MANAGER"}


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
        # where the endpoint is not AWS its clock may have been moved, and ours follows; runners that share a ledger follow the table's clock: an
        # entry's age says whether its token still lives, and clocks of two machines may differ by more than the minute that is kept back
        is_followed = bool(self._endpoints) or isinstance(environment.ledger, DynamoDbLedger)
        self._server_clock = ServerClock(system) if is_followed else None
        self.clock: Clock = self._server_clock or system
        self.randomness: Randomness = randomness or SystemRandomness()
        self._lock = threading.RLock()
        self._clients: dict[Home, AwsClients] = {}
        self._checked: set[Home] = set()

    @cached_property
    def homes(self) -> tuple[Home, ...]:
        """Where the environment's authorities are, that of ``backend`` first."""
        return tuple(self._roles)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts of these homes, that of ``backend`` first."""
        return tuple(dict.fromkeys(home.account for home in self.homes))

    @cached_property
    def _roles(self) -> Mapping[Home, Roles]:
        return homes_of(self.environment)

    @cached_property
    def clients(self) -> AwsClients:
        """AWS clients of the environment's account and region: its buckets are there, and its authorities unless they say otherwise."""
        return self._make_clients(self.homes[0], base=None)

    def clients_at(self, home: Home) -> AwsClients:
        """AWS clients of one of the environment's homes, by its own role."""
        with self._lock:
            if home not in self._clients:
                is_default = home == self.homes[0]
                self._clients[home] = self.clients if is_default else self._make_clients(home, base=self.clients)
            return self._clients[home]

    def _make_clients(self, home: Home, base: AwsClients | None) -> AwsClients:
        from pkiops.aws import AwsAccess, AwsClients

        access = AwsAccess(
            region=home.region,
            account=home.account,
            role_arn=self._role_at(home),
            endpoint_urls=self._endpoints,
            sandbox=self.environment.backend.sandbox,
        )
        return AwsClients(
            access,
            follow=self._server_clock.follow if self._server_clock else None,
            clock=self.clock,
            randomness=self.randomness,
            progress=self.progress,
            base=base,
        )

    def _role_at(self, home: Home) -> str | None:
        roles = self._roles[home]
        # who calls is asked for only where it makes a difference
        return roles.of(persona_of(self.environment, self.identity.arn)) if roles.personas else roles.general

    @cached_property
    def backend(self) -> AwsPrivateCa | RoutedAuthorities:
        """The certificate authorities, wherever they are."""
        if len(self.homes) == 1:
            return self._backend_at(self.homes[0])
        from pkiops.backends.routed import RoutedAuthorities

        return RoutedAuthorities({home: partial(self._backend_at, home) for home in self.homes})

    def _backend_at(self, home: Home) -> AwsPrivateCa:
        from pkiops.backends.aws_private_ca import AwsPrivateCa

        prices = None if self._prices is None else _prices_of(self._prices)
        if home == self.homes[0]:
            writers = {there: roles.keepers for there, roles in self._roles.items()}
            return AwsPrivateCa(self.clients, self.clock, prices, writers=writers)
        # before anything is asked or changed there, whatever the command
        self.check_home(home)
        return AwsPrivateCa(self.clients_at(home), self.clock, prices, publication=self.clients)

    @cached_property
    def buckets(self) -> S3Buckets:
        """The publication buckets as resources."""
        from pkiops.stores.s3_buckets import S3Buckets

        return S3Buckets(self.clients, self.clock)

    @cached_property
    def tables(self) -> Tables:
        """The ledger's table as a resource."""
        from pkiops.ledger.dynamodb_table import DynamoDbTables

        return DynamoDbTables(self.clients, self.clock)

    @cached_property
    def trust_store(self) -> Store:
        """The trust bucket: bundles and chain-complete CRL sets."""
        from pkiops.stores.s3 import S3Store

        return S3Store(self.clients, self.environment.publication.trust.bucket)

    def secret_place(self, service: str) -> SecretPlace:
        """Where AWS keeps secrets in the environment's account and region: ``secretsmanager`` or ``ssm``.

        Raises:
            GuardRefused: the caller belongs to another account.
            BackendError: the caller cannot be asked for.
        """
        self.check_account(everywhere=False)
        if service == "secretsmanager":
            from pkiops.stores.secrets_manager import SecretsManager

            return SecretsManager(self.clients)
        from pkiops.stores.parameter_store import ParameterStore

        return ParameterStore(self.clients)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of requests.

        Raises:
            GuardRefused: its path leaves the working directory through a link.
        """
        if isinstance(self.environment.ledger, DynamoDbLedger):
            from pkiops.ledger import dynamodb

            return dynamodb.DynamoDbLedger(self.clients, self.environment.ledger.table, self.clock, self.randomness)
        from pkiops.ledger.sqlite import SqliteLedger

        path = Path(self.environment.ledger.path)
        if not path.resolve().is_relative_to(Path.cwd()):
            raise GuardRefused(
                f"ledger {path} leads out of the working directory, to {path.resolve()}",
                hint="a link is in the way: remove it, or run pkiops in the folder that it leads to",
                code="guard.ledger-path",
            )
        return SqliteLedger(path, self.clock, self.randomness)

    def ledger_warning(self) -> str | None:
        """What to say before something is issued where the ledger may not last; None if it does, or in a sandbox, where nothing lasts."""
        from pkiops.ledger.runners import vanishing_ledger

        if isinstance(self.environment.ledger, DynamoDbLedger) or self.environment.backend.sandbox:
            return None
        return vanishing_ledger(self.environment.ledger.path, self._variables)

    def known_entries(self) -> Callable[[], Iterable[Entry]] | None:
        """Reads the ledger's entries; None where no ledger was begun yet. Makes none.

        Whether there is a table is found out by the first read; without one there are no entries.
        """
        if isinstance(self.environment.ledger, DynamoDbLedger):
            return self._entries_of_table
        if not Path(self.environment.ledger.path).exists():
            return None
        return lambda: self.ledger.entries(self.environment.environment)

    def live_entries(self) -> Callable[[datetime], Iterable[Entry]] | None:
        """Reads the ledger's entries with certificates that expire between now and a moment; None where no ledger was begun yet. Makes none."""
        if not isinstance(self.environment.ledger, DynamoDbLedger) and not Path(self.environment.ledger.path).exists():
            return None
        name = self.environment.environment
        return lambda end: self.ledger.find_expiring(name, self.clock.now(), end)

    def _entries_of_table(self) -> Iterable[Entry]:
        try:
            yield from self.ledger.entries(self.environment.environment)
        except InputError as error:
            if error.code != "ledger.no-table":
                raise

    @cached_property
    def identity(self) -> CallerIdentity:
        """Who AWS says we are (sts:GetCallerIdentity)."""
        return self.clients.caller_identity()

    def caller(self) -> str:
        """The ARN of the caller."""
        return self.identity.arn

    @property
    def ci_identity(self) -> str | None:
        """Which CI job this is, by its environment variables (``pkiops.ci_identity``); None outside of one."""
        return ci_identity(self._variables)

    def credential(self) -> str:
        """The caller named without a call: the role of ``backend``, else the access key, which CloudTrail resolves to its holder."""
        role, key = self.environment.backend.role_arn, self.clients.access_key()
        return role or (f"aws-access-key:{key}" if key else self.caller())

    def check_account(self, *, everywhere: bool = True) -> None:
        """Refuse to work against any account but the file's.

        Args:
            everywhere: look at every home now; False leaves all but the first to their first use.

        Raises:
            GuardRefused: the caller belongs to another account.
            BackendError: the caller cannot be asked for.
        """
        self.check_home(self.homes[0])
        others = self.homes[1:] if everywhere else ()
        if others:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(others))) as pool:
                list(pool.map(self.check_home, others))

    def check_home(self, home: Home) -> None:
        """Refuse to work in a home with the credentials of another account; asked once.

        Raises:
            GuardRefused: the caller there belongs to another account.
            BackendError: the caller cannot be asked for.
        """
        with self._lock:
            if home in self._checked:
                return
        is_default = home == self.homes[0]
        try:
            identity = self.identity if is_default else self.clients_at(home).caller_identity()
        except BackendError as error:
            if not is_default:
                error.message = f"{home}: {error.message}"
                error.details["home"] = {"account": home.account, "region": home.region}
            raise
        if identity.account != home.account:
            where = "belongs to" if is_default else "has authorities in"
            key = "backend.account" if is_default else "account and role_arn of these authorities' backend"
            raise GuardRefused(
                f"environment {self.environment.environment} {where} account {home.account}, "
                f"but the caller {identity.arn} is of account {identity.account}",
                hint=f"switch to credentials of that account, or correct {key} in the file",
                code="guard.account",
                details={"account": home.account, "region": home.region, "caller": identity.arn},
            )
        with self._lock:
            self._checked.add(home)

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
        services = (*_SERVICES, "dynamodb") if isinstance(self.environment.ledger, DynamoDbLedger) else _SERVICES
        if backend.sandbox:
            url = self._variables.get("PKIOPS_SANDBOX_URL") or SANDBOX_URL
            return dict.fromkeys(services, _checked(services[0], url, "PKIOPS_SANDBOX_URL")), {}
        endpoints: dict[str, str] = {str(service): url for service, url in backend.endpoint_urls.items()}
        sources = dict.fromkeys(endpoints, "environment file")
        for service in services:
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
    if problem and variable == "PKIOPS_SANDBOX_URL":
        raise InputError(
            f"{variable} is not the URL of a sandbox: {url[:200]!r}",
            hint=f"write it as pkiops sandbox status shows it, such as {SANDBOX_URL}",
            code="usage.endpoint",
        )
    if problem:
        raise InputError(f"{variable} is not an endpoint", hint=problem, code="usage.endpoint")
    return url
