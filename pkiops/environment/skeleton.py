"""The file that ``pkiops env init`` writes: complete, commented, and valid as it stands.

What this module decides: what has to be known to write it. The text is the template ``environment/environment.yaml.j2``.
"""

from __future__ import annotations

import re

from pkiops.environment.load import load_bytes
from pkiops.errors import InputError

SANDBOX_ACCOUNT = "123456789012"  # the account that moto, and so the sandbox, answers with
DEFAULT_REGION = "eu-west-1"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_ACCOUNT = re.compile(r"[0-9]{12}")


def skeleton(name: str, *, sandbox: bool, account: str | None, region: str) -> str:
    """An environment file to start from.

    Args:
        name: a checked name (``load.environment_path``).
        sandbox: for the sandbox on this machine instead of an AWS account.
        account: 12 digits; needed unless ``sandbox``.
        region: an AWS region.

    Raises:
        InputError: the account is missing or no account, or the region is none.
    """
    if sandbox:
        account = account or SANDBOX_ACCOUNT
    if account is None:
        raise InputError(
            "where the CAs should be is not said",
            hint="add --account with the 12 digits of the AWS account, or --sandbox to rehearse on this machine",
            code="env.account",
        )
    if not _ACCOUNT.fullmatch(account):
        raise InputError("an AWS account is 12 digits", hint="for example --account 111122223333", code="env.account")
    if not _REGION.fullmatch(region):
        raise InputError(
            "this is not the name of an AWS region", hint="for example --region eu-west-1", code="env.region"
        )
    from pkiops.templating import load_template

    title = name.replace("-", " ").title()
    text = load_template("environment/environment.yaml.j2").render(
        name=name, title=title, sandbox=sandbox, account=account, region=region
    )
    load_bytes(text.encode(), f"{name}.yaml", name)  # a skeleton that does not validate is never written
    return text
