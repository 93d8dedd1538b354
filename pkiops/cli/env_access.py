"""``pkiops env iam-policy``: the least that each persona needs on an environment."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from pkiops.cli.env import app
from pkiops.cli.options import EnvironmentArgument, Format, FormatOption, option
from pkiops.cli.output import emit, emit_json, note


class PersonaChoice(StrEnum):
    """Who works with an environment."""

    PROVISIONER = "provisioner"
    ISSUER = "issuer"
    REVOKER = "revoker"
    PUBLISHER = "publisher"
    RELYING_PARTY = "relying-party"
    AUDITOR = "auditor"


@app.command("iam-policy")
def iam_policy_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    persona: Annotated[PersonaChoice, option("--persona", help="Whose policy.")],
    allow_delete: Annotated[
        bool, option("--allow-delete", guard=True, help="The provisioner may delete and restore CAs, too.")
    ] = False,
    allow_resolve: Annotated[
        bool, option("--allow-resolve", guard=True, help="The issuer may run cert resolve, too.")
    ] = False,
    account: Annotated[
        str | None,
        option(
            "--account", metavar="DIGITS", help="The part for this account; that of the file's backend unless given."
        ),
    ] = None,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Print the IAM policy of a persona for exactly this environment. Calls nobody."""
    from pkiops.ca.access import persona_policy
    from pkiops.ca.desired import desired_state
    from pkiops.cli.wiring import environment_of
    from pkiops.clock import SystemClock
    from pkiops.environment.models import Persona
    from pkiops.factory import Factory

    # nothing is sent anywhere, so it does not matter where the file would send it
    factory = Factory(environment_of(ctx, environment), allow_endpoint=True)
    made = persona_policy(
        factory.environment,
        desired_state(factory.environment, factory.backend, factory.buckets),
        Persona(persona.value),
        factory.backend,
        factory.buckets,
        factory.tables,
        may_delete=allow_delete,
        may_resolve=allow_resolve,
        account=account,
    )
    for line in made.notes:
        note(f"note: {line}")
    if format_ is Format.JSON:
        where = account or factory.environment.backend.account
        body = {
            "persona": persona.value,
            "account": where,
            "characters": made.size,
            "notes": list(made.notes),
            "policy": made.document,
        }
        emit_json("iam-policy", environment, SystemClock().now(), body)
    else:
        emit(json.dumps(made.document, indent=2))
