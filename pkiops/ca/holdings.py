"""Who writes what in the publication buckets, and what their policies say about it once ``access`` names the roles. Pure.

Rules:

- the provisioner writes the index and the claims, the publisher CRLs and trust, a relying party its own acknowledgements, nobody else any of these;
- the CRL bucket is written by the service, and by whoever it wants to be able to write there: the provisioner and the revoker. It is held once both
  are named;
- keys whose writer the file does not name are not held: nothing is taken from a role that nobody spoke of.
"""

from __future__ import annotations

from pkiops.environment.homes import homes_of
from pkiops.environment.models import Environment, Persona
from pkiops.stores.interface import Holding


def provisioner_keys(environment: str) -> tuple[str, ...]:
    """What the provisioner reads and writes in the trust bucket."""
    return (f"{environment}/index.json", f"{environment}/claims/*")


def publisher_keys(environment: str) -> tuple[str, ...]:
    """What the publisher writes in the trust bucket."""
    return (f"{environment}/crl/*", f"{environment}/trust/*")


def own_acknowledgements(environment: str) -> str:
    """What a relying party writes: IAM puts the caller's unique id in the place of the variable."""
    return f"{environment}/acks/${{aws:userid}}/*"


def crl_holdings(environment: Environment) -> tuple[Holding, ...]:
    """What the CRL bucket's policy says about writers."""
    writers = [environment.access.get(one) for one in (Persona.PROVISIONER, Persona.REVOKER)]
    named = tuple(one for one in writers if one is not None)
    if not all(writers):
        return ()
    # the service wants whoever keeps a CA or revokes to be able to write here, and in other accounts these are roles assumed there
    own = environment.backend.account
    keepers = [role for home, roles in homes_of(environment).items() if home.account != own for role in roles.keepers]
    principals = (*named, *dict.fromkeys(keepers))
    return (Holding(name="OnlyTheServiceWritesCrls", keys=("*",), principals=principals),)


def trust_holdings(environment: Environment) -> tuple[Holding, ...]:
    """What the trust bucket's policy says about writers."""
    name, access = environment.environment, environment.access
    held = (
        ("OnlyProvisioner", Persona.PROVISIONER, provisioner_keys(name)),
        ("OnlyPublisher", Persona.PUBLISHER, publisher_keys(name)),
        ("OnlyRelyingParties", Persona.RELYING_PARTY, (f"{name}/acks/*",)),
    )
    holdings = [
        Holding(name=label, keys=keys, principals=(access[persona],))
        for label, persona, keys in held
        if persona in access
    ]
    if Persona.RELYING_PARTY in access:
        holdings.append(
            Holding(
                name="RelyingPartiesOnlyTheirOwn",
                keys=(own_acknowledgements(name),),
                principals=(access[Persona.RELYING_PARTY],),
                elsewhere=True,
            )
        )
    return tuple(holdings)
