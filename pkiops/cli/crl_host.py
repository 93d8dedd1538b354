"""``pkiops crl host``: what answers the distribution points, as a template of CloudFormation or Terraform."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pkiops.cli.crl import app
from pkiops.cli.options import EnvironmentArgument, OverwriteOption, option
from pkiops.cli.output import emit, note
from pkiops.cli.wiring import environment_of


class TemplateFormat(StrEnum):
    """As ``crl.host.HostFormat``, which is not imported for --help."""

    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"


@app.command("host")
def host_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    format_: Annotated[TemplateFormat, option("--format", help="What is rendered.")] = TemplateFormat.CLOUDFORMATION,
    output: Annotated[
        Path | None, option("--output", "-o", metavar="FILE", help="Write there; - or nothing: stdout.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Render the CDN and the DNS records that answer at the hosts in certificates. Makes no call."""
    from pkiops.cli.files import FileToWrite, write_files
    from pkiops.crl.host import HostFormat, cdp_host, render_host

    loaded = environment_of(ctx, environment)
    host = cdp_host(loaded)
    text = render_host(host, HostFormat(format_.value))
    for one in host.foreign:
        note(f"{one} is left out: AWS answers there itself")
    if output is None or str(output) == "-":
        emit(text)
    else:
        write_files([FileToWrite(output, text.encode("ascii"))], overwrite=overwrite)
    if loaded.publication.crl.distribution is None:
        note(f"next: deploy it, write its ARN into publication.crl.distribution, then pkiops ca apply {environment}")
