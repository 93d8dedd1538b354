"""What ``pkiops ca csr --output`` writes: the request, and beside it what whoever signs it needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.cli.files import FileToWrite

if TYPE_CHECKING:
    from pkiops.ca.signing import SigningRequest
    from pkiops.ca.signing_sheet import SheetFiles


def signing_outputs(output: Path, files: SheetFiles, signing: SigningRequest | None = None) -> list[FileToWrite]:
    """The files in one folder; without ``signing`` they are empty, to check where they go before anything is asked for."""
    if signing is None:
        texts = dict.fromkeys((files.request, files.openssl, files.step, files.sheet), "")
    else:
        from pkiops.ca.signing_sheet import openssl_configuration, sheet_text, step_template

        texts = {
            files.request: signing.request.pem.decode("ascii"),
            files.openssl: openssl_configuration(signing),
            files.step: step_template(signing),
            files.sheet: sheet_text(signing, files),
        }
    return [FileToWrite(output.parent / name, text.encode()) for name, text in texts.items()]
