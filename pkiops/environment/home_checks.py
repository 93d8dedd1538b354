"""Can every home of an environment file be reached from where it is used, and do the ARNs in the file belong there?

Pure. Rules: one partition for the whole file; a role is of the account and partition in which it is assumed, and another account needs one; a home is
reached by one role; the service of every home can write into the CRL bucket, which is where ``backend`` says. What a home is, is ``homes.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

from pkiops.environment.endpoints import is_of_one_region
from pkiops.environment.finding import Finding, KeyPath, dotted
from pkiops.environment.homes import Roles, default_home, home_of, place_of, roles_at
from pkiops.environment.models import AuthorityHome, Environment, Persona
from pkiops.homes import Home, partition_of, writing_service


def check_homes(environment: Environment) -> Iterator[Finding]:
    """Every finding about homes, and about what is said of them."""
    backend = environment.backend
    if backend.role_arn is not None:
        yield from _check_role(backend.role_arn, default_home(environment), ("backend", "role_arn"))
    reached: dict[Home, tuple[Roles, KeyPath]] = {default_home(environment): (Roles(backend.role_arn), ("backend",))}
    for given, path in _given(environment):
        sound = True
        for finding in _check_home(environment, given, path):
            sound = False
            yield finding
        if not sound:
            continue
        home, roles = place_of(environment, given), roles_at(environment, given)
        first, where = reached.setdefault(home, (roles, path))
        if first != roles:
            key = "role_arn" if first.general != roles.general else "access"
            message = f"{home} is reached by another role at {dotted(where)}; write the same, or leave it out in both"
            yield Finding((*path, key), message, "env.role")
        elif path[1] == "former_homes" and where != path:
            message = f"CAs of {home} are looked for already; remove this"
            yield Finding(path, message, "env.home", at_key=True)
    yield from _check_arns(environment)
    yield from _check_endpoints(environment, tuple(reached))


def _given(environment: Environment) -> Iterator[tuple[AuthorityHome, KeyPath]]:
    for label, authority in environment.authorities.items():
        if authority.backend is not None:
            yield authority.backend, ("authorities", label, "backend")
    for index, given in enumerate(environment.backend.former_homes or ()):
        yield given, ("backend", "former_homes", index)


def _check_home(environment: Environment, given: AuthorityHome, path: KeyPath) -> Iterator[Finding]:
    default, home = default_home(environment), place_of(environment, given)
    if given.role_arn is None and home.account != default.account:
        message = "another account needs a role to be assumed there; add role_arn"
        yield Finding((*path, "role_arn"), message, "env.account")
    if home.partition != default.partition:
        message = "this region is in another partition of AWS, whose accounts cannot be reached from here"
        yield Finding((*path, "region"), message, "env.region")
    elif writing_service(home.region, default.region) is None:
        message = (
            f"CAs of this region cannot write CRLs into a bucket of {default.region}, a region that accounts turn on themselves; "
            "swap the two, or keep this authority in an environment of its own"
        )
        yield Finding((*path, "region"), message, "env.region")
    if given.role_arn is not None:
        yield from _check_role(given.role_arn, home, (*path, "role_arn"))
    yield from _check_access(environment, given, home, (*path, "access"))


def _check_access(environment: Environment, given: AuthorityHome, home: Home, path: KeyPath) -> Iterator[Finding]:
    if given.access is not None and home.account == environment.backend.account:
        message = "in the account of backend everybody has their own role already; remove this"
        yield Finding(path, message, "env.access", at_key=True)
        return
    for persona, role in (given.access or {}).items():
        where = (*path, persona.value)
        if persona is Persona.RELYING_PARTY:
            yield Finding(where, "a relying party asks no CA anything; remove this", "env.access", at_key=True)
        elif persona not in environment.access:
            message = f"nobody is known to be the {persona.value}: add its role to the file's own access"
            yield Finding(where, message, "env.access", at_key=True)
        yield from _check_role(role, home, where)


def _check_role(role: str, home: Home, path: KeyPath) -> Iterator[Finding]:
    parts = role.split(":")
    if parts[4] != home.account:
        other = "backend.account" if path[0] == "backend" and len(path) == 2 else "the authority"
        yield Finding(path, f"this role is in another account than {other}; apply would refuse to run", "env.account")
    elif parts[1] != home.partition:
        yield Finding(path, f"roles of this region's partition begin with arn:{home.partition}:", "env.partition")


def _check_arns(environment: Environment) -> Iterator[Finding]:
    for label, authority in environment.authorities.items():
        if authority.arn is None:
            continue
        path: KeyPath = ("authorities", label, "arn")
        home, parts = home_of(environment, label), authority.arn.split(":")
        if Home(account=parts[4], region=parts[3]) != home:
            message = (
                f"this CA is not in account {home.account} and region {home.region}, where the authority should be"
            )
            yield Finding(path, message, "env.arn")
        elif parts[1] != partition_of(home.region):
            yield Finding(path, f"CAs of this region begin with arn:{partition_of(home.region)}:", "env.partition")


def _check_endpoints(environment: Environment, homes: tuple[Home, ...]) -> Iterator[Finding]:
    region = environment.backend.region
    others = [home.region for home in homes if home.region != region]
    for service, url in environment.backend.endpoint_urls.items():
        if others and service != "s3" and is_of_one_region(service, url):
            message = f"an endpoint of AWS is of one region, and authorities are in {others[0]} too; leave it out"
            yield Finding(("backend", "endpoint_urls", service), message, "env.endpoint")
