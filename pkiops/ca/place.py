"""Where a plan acts, as the plan says it: accounts, regions, roles and endpoints of an environment file. Pure.

A plan is reviewed by people who see its actions only; the accounts that they happen in are the file's choice, and so are the roles that are assumed
there.
"""

from __future__ import annotations

from pkiops.environment.homes import homes_of
from pkiops.environment.models import Environment
from pkiops.plan import Place, Site


def place_of(environment: Environment) -> Place:
    """Where the actions of an environment's plans happen."""
    backend = environment.backend
    sites = []
    for home, roles in homes_of(environment).items():
        assumed = {roles.general, *roles.personas.values()} - {None}
        sites.append(Site(home.account, home.region, tuple(sorted(str(role) for role in assumed))))
    return Place(
        sites=tuple(sites),
        endpoint_urls=tuple(sorted((str(service), url) for service, url in backend.endpoint_urls.items())),
        sandbox=backend.sandbox,
    )
