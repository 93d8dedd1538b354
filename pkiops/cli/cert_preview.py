"""``pkiops cert issue --preview``: what would come back, printed; nothing is sent to a CA and nothing is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkiops.cli.options import Format
from pkiops.cli.output import emit, emit_json
from pkiops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkiops.cert.issue import Issuance
    from pkiops.cert.order import Order
    from pkiops.factory import Factory


def refuse_outputs_of_preview(preview: bool, *outputs: Sequence[str] | str | None) -> None:
    """A preview is not a certificate, so it is never written where one is expected.

    Raises:
        InputError: code ``usage.arguments``.
    """
    if preview and any(outputs):
        raise InputError(
            "--preview writes no files: what it shows is not a certificate",
            hint="leave --output away, or --preview",
            code="usage.arguments",
        )


def show_preview(factory: Factory, issuance: Issuance, order: Order, format_: Format) -> None:
    """Print the preview.

    Raises:
        VerificationFailed: code ``cert.preview``, the certificate would be refused when it came back.
    """
    from pkiops.cert.preview import Previews
    from pkiops.cert.preview_report import preview_json, preview_text
    from pkiops.x509.lint import linter_is_installed

    def serial() -> int:
        # 16 octets and positive, as long as the service's own
        return int.from_bytes(factory.randomness.token_bytes(16), "big") >> 1 | 1

    found = Previews(issuance=issuance, serial=serial, linter=linter_is_installed()).preview(order)
    if format_ is Format.JSON:
        emit_json("cert-preview", factory.environment.environment, factory.clock.now(), preview_json(found))
    else:
        emit(preview_text(found))
    error = found.error()
    if error is not None:
        raise error
