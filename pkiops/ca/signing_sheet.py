"""The sheet that goes with a request to whoever signs it: what to compare, what the certificate has to say, and the commands. Pure.

The configuration for openssl holds name constraints as DER, because its own spelling has no way to quote a value; the same bytes go into the
template for step. Files are called after the request, and only by name: the machine that signs has folders of its own.
"""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pkiops.ca.signing import KEY_USAGE, SigningRequest
from pkiops.templating import load_template
from pkiops.x509.name_constraints import encode_name_constraints
from pkiops.x509.refusal import moment


@dataclass(frozen=True, slots=True)
class SheetFiles:
    """What the files are called that travel together."""

    request: str
    openssl: str
    step: str
    sheet: str
    certificate: str


def sheet_files(request: PurePath) -> SheetFiles:
    """The names that go with a request of that name: ``clients.csr`` has ``clients.openssl.cnf`` beside it."""
    stem = request.stem
    return SheetFiles(request.name, f"{stem}.openssl.cnf", f"{stem}.step.tpl", f"{stem}.sheet.txt", f"{stem}.pem")


def sheet_text(signing: SigningRequest, files: SheetFiles) -> str:
    """The sheet for people."""
    quoted = SheetFiles(**{name: shlex.quote(getattr(files, name)) for name in SheetFiles.__dataclass_fields__})
    return load_template("ca/signing-sheet.txt.j2").render(**_facts(signing), files=quoted)


def openssl_configuration(signing: SigningRequest) -> str:
    """The extensions, for ``openssl x509 -req -extfile FILE -extensions ca_certificate``."""
    return load_template("ca/openssl.cnf.j2").render(**_facts(signing))


def step_template(signing: SigningRequest) -> str:
    """The template for ``step certificate sign --template``."""
    return load_template("ca/step.tpl.j2").render(**_facts(signing))


def sheet_json(signing: SigningRequest) -> dict[str, Any]:
    """The sheet as JSON-ready data; ``csr`` is PEM, name constraints are DER in base64."""
    limits = _constraints_der(signing)
    return {
        "authority": signing.label,
        "generation": signing.generation,
        "reference": signing.reference,
        "issuer": {"authority": signing.issuer.label, "sha256": signing.issuer.sha256},
        "subject": signing.subject,
        "key": signing.request.key_description,
        "csr": signing.request.pem.decode("ascii"),
        "csr_sha256": signing.request.sha256,
        "spki_sha256": signing.request.spki_sha256,
        "required": {
            "basic_constraints": {"critical": True, "ca": True, "path_length": signing.wanted.path_length},
            "key_usage": {"critical": True, "usages": list(KEY_USAGE)},
            "name_constraints": {"critical": True, "der": base64.b64encode(limits).decode("ascii")} if limits else None,
            "extended_key_usage": None,
            "validity": str(signing.wanted.validity),
            "not_after": signing.not_after,
        },
        "replaces_until": signing.replaces_until,
        "openssl_configuration": openssl_configuration(signing),
        "step_template": step_template(signing),
    }


def _facts(signing: SigningRequest) -> dict[str, Any]:
    limits = _constraints_der(signing)
    return {
        "environment": signing.environment,
        "label": signing.label,
        "address": f"{signing.environment}/ca/{signing.label}",
        "generation": signing.generation,
        "reference": signing.reference,
        "issuer": signing.issuer.label,
        "subject": signing.subject,
        "key": signing.request.key_description,
        "csr_sha256": signing.request.sha256,
        "spki_sha256": signing.request.spki_sha256,
        "path_length": signing.wanted.path_length,
        "key_usage": KEY_USAGE,
        "name_constraints": str(signing.wanted.name_constraints),
        "name_constraints_der": limits.hex(":"),
        "name_constraints_base64": base64.b64encode(limits).decode("ascii"),
        "validity": str(signing.wanted.validity),
        "not_after": moment(signing.not_after),
        "days": signing.days,
        "hours": signing.days * 24,
        "replaces_until": moment(signing.replaces_until) if signing.replaces_until else None,
    }


def _constraints_der(signing: SigningRequest) -> bytes:
    limits = signing.wanted.name_constraints
    return encode_name_constraints(limits) if limits else b""
