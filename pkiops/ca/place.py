"""Where a plan acts, as the plan says it: account, region, role and endpoints of an environment file. Pure.

A plan is reviewed by people who see its actions only; the account that they happen in is the file's choice, and so is the role that is assumed there.
"""

from __future__ import annotations

from pkiops.environment.models import Environment
from pkiops.plan import Place


def place_of(environment: Environment) -> Place:
    """Where the actions of an environment's plans happen."""
    backend = environment.backend
    return Place(
        account=backend.account,
        region=backend.region,
        role_arn=backend.role_arn,
        endpoint_urls=tuple(sorted((str(service), url) for service, url in backend.endpoint_urls.items())),
        sandbox=backend.sandbox,
    )
