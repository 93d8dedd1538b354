"""``pkiops trust``: what its verbs share; each has a module of its own (``trust_render.py``, ``trust_verify.py``, ``trust_handshake.py``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pkiops.cli.options import option
from pkiops.errors import InputError

if TYPE_CHECKING:
    from pkiops.trust.probe import Probe

app = typer.Typer(name="trust", help="Trust bundles: render, verify, handshake.", no_args_is_help=True)

BundleOption = Annotated[str | None, option("--bundle", metavar="BUNDLE", help="This bundle only; all unless given.")]
TargetOption = Annotated[str | None, option("--target", metavar="TARGET", help="This target only; all unless given.")]
ProbeOption = Annotated[
    list[str] | None,
    option(
        "--probe",
        variable="PROBE_WITH",
        metavar="CERT,KEY",
        help="Knock with this certificate (full chain): it must get in. Repeatable.",
    ),
]
ExpectRefusedOption = Annotated[
    list[str] | None,
    option("--expect-refused", metavar="CERT,KEY", help="Knock with this one: it must be refused. Repeatable."),
]
AllowEndpoint = Annotated[
    bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
]


def probe_of(text: str, *, accepted: bool) -> Probe:
    """The probe that ``CERT,KEY`` names.

    Raises:
        InputError: it is not of that form.
    """
    from pkiops.trust.handshake import Identity
    from pkiops.trust.probe import Probe

    cert, separator, key = text.rpartition(",")
    if not (cert and separator and key):
        raise InputError(
            f"not a certificate and a key: {text!r}", hint="write CERT,KEY: two files with a comma between"
        )
    return Probe(cert, Identity(Path(cert), Path(key)), accepted)
