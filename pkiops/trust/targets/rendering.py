"""From a description and its templates to a target: what its files are for a given bundle.

What this module decides: the order of the work (does it fit, contents, templates, VERIFY.md, sizes), and the values that templates see: plain data,
the same for the targets that come with pkiops and for a user's own.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.errors import InputError
from pkiops.template_sandbox import UntrustedTemplate
from pkiops.templating import load_template
from pkiops.trust.bundle import BundleCertificate, BundleCrl, TrustBundle
from pkiops.trust.openssl_name import openssl_name
from pkiops.trust.targets.contents import (
    JAVA_PASSWORD,
    ContentKind,
    bare_ca_pem,
    bare_crl_pem,
    content_kind,
    write_content,
)
from pkiops.trust.targets.description import FILE, TargetDescription
from pkiops.trust.targets.interface import RenderedFile, Target
from pkiops.trust.targets.limits import depth_setting, require_file_sizes, require_fit
from pkiops.x509.certificate import fingerprint, pem
from pkiops.x509.names import rfc4514

VERIFY = "VERIFY.md"
LISTS = frozenset({"certificates", "anchors", "intermediates", "crls", "issuers"})
VALUES = LISTS | {
    "environment", "bundle", "location", "parent", "paths", "revocation", "depth", "ca_pem", "crl_pem", "java_password",
}  # fmt: skip
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def make_target(kind: str, description: TargetDescription, templates: Mapping[str, str]) -> Target:
    """The target of a description; ``templates`` are the sources of those it names.

    Raises:
        InputError: a template is missing, or wants more than a template may.
    """
    parsed: dict[str, UntrustedTemplate] = {}
    for path, word in description.files.items():
        if content_kind(word) is not None:
            continue
        if word not in templates:
            raise InputError(
                f"target {kind}: there is no template {word}",
                hint="files of its target.yaml names it",
                code="trust.template",
                details={"file": f"{kind}/{FILE}"},
            )
        parsed[path] = UntrustedTemplate(templates[word], f"{kind}/{word}", lists=LISTS)
        unknown = sorted(parsed[path].undeclared - VALUES)
        if unknown:
            raise InputError(
                f"{kind}/{word}: there is no value {unknown[0]}",
                hint=f"values: {', '.join(sorted(VALUES))}",
                code="trust.template",
                details={"file": f"{kind}/{word}"},
            )

    def render(bundle: TrustBundle, location: str) -> tuple[RenderedFile, ...]:
        _require_path(kind, description, location)
        require_fit(bundle, description)
        values = _values(bundle, description, location)
        if any("crl_pem" in template.names for template in parsed.values()):
            values["crl_pem"] = bare_crl_pem(bundle.crls).decode()  # may be large
        files: list[RenderedFile] = []
        for path, word in description.files.items():
            if path in description.with_crls and not bundle.crls:
                continue
            if path in description.with_shared_root and not bundle.shared_root:
                continue
            if path in parsed:
                files.append(RenderedFile(path, parsed[path].render(values).encode()))
            else:
                files.extend(write_content(word, path, bundle))
        if VERIFY not in description.files:
            files.append(_verify_file(bundle, description, location))
        require_file_sizes(bundle, description, files)
        return tuple(files)

    crl_files = description.paths_of(ContentKind.CRLS)
    return Target(
        kind=kind,
        render=render,
        trusted_files=description.trusted_files,
        crl_file=crl_files[0] if crl_files else None,
        revocations=description.revocations,
        check_command=description.check_command,
    )


def _require_path(kind: str, description: TargetDescription, location: str) -> None:
    if any(character in description.forbidden_in_path or not character.isprintable() for character in location):
        raise InputError(
            f"the path {location!r} cannot be written into a configuration of {kind}",
            hint=f"choose a path without control characters and any of {description.forbidden_in_path!r} (--path)",
            code="trust.path",
        )


def _verify_file(bundle: TrustBundle, description: TargetDescription, location: str) -> RenderedFile:
    text = load_template("trust/VERIFY.md.j2").render(bundle=bundle, target=description, location=location)
    return RenderedFile(VERIFY, text.encode())


def _values(bundle: TrustBundle, description: TargetDescription, location: str) -> dict[str, Any]:
    return {
        "environment": bundle.environment,
        "bundle": bundle.name,
        "location": location,
        "parent": location.rpartition("/")[0],
        "paths": {path: f"{location}/{path}" for path in description.files},
        "revocation": bundle.revocation.value,
        "depth": depth_setting(bundle, description.depth),
        "certificates": _certificates(bundle.certificates),
        "anchors": _certificates(bundle.anchors),
        "intermediates": _certificates(bundle.intermediates),
        "crls": [_crl(one) for one in bundle.crls],
        "ca_pem": bare_ca_pem(bundle.certificates).decode(),
        "issuers": _issuers(bundle) if description.lists_issuers and bundle.shared_root else [],
        "java_password": JAVA_PASSWORD,
    }


def _issuers(bundle: TrustBundle) -> list[dict[str, str]]:
    return [
        {
            "name": one.name,
            "openssl_name": openssl_name(one.certificate.subject),
            "utf8_name_base64": base64.b64encode(openssl_name(one.certificate.subject, utf8=True).encode()).decode(),
        }
        for one in bundle.issuers
    ]


def _certificates(certificates: Sequence[BundleCertificate]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "role": one.role.value,
            "subject": rfc4514(one.certificate.subject),
            "sha256": fingerprint(one.certificate),
            "not_after": one.certificate.not_valid_after_utc.strftime(_MOMENT),
            "pem": pem(one.certificate).decode(),
            "der_base64": base64.b64encode(one.certificate.public_bytes(Encoding.DER)).decode(),
        }
        for one in certificates
    ]


def _crl(one: BundleCrl) -> dict[str, Any]:
    return {
        "name": one.name,
        "issuer": one.checked.view.issuer,
        "number": one.checked.number,
        "entries": one.checked.view.entries,
        "next_update": one.checked.next_update.strftime(_MOMENT),
    }
