"""The issuing templates pkiops uses, and the extensions each fixes.

What this module decides: which template serves which intent. Base templates take subject and SAN from the CSR as they stand;
the API passthrough forms take them from the call, and are chosen when the approved names differ from the CSR's, and for a CA that gets name
constraints. No template that copies extensions from a CSR is ever used.

Source: AWS Private CA User Guide, template definitions; ``keyEncipherment`` is set for EC keys too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkiops.backends.lint_findings import KnownLintFinding
from pkiops.errors import NotSupported


@dataclass(frozen=True, slots=True)
class Template:
    """A template and what it fixes; usages are RFC 5280 names. ``blank`` is one that fixes none: the caller has to give ``key_usage``."""

    name: str
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    passthrough: bool = False
    blank: bool = False

    def arn(self, partition: str) -> str:
        """The template's ARN: no region, no account, the partition of the CA."""
        return f"arn:{partition}:acm-pca:::template/{self.name}/V1"


_END_ENTITY_KEY_USAGE = ("digitalSignature", "keyEncipherment")
_CA_KEY_USAGE = ("digitalSignature", "keyCertSign", "cRLSign")
_END_ENTITY = {
    frozenset({"clientAuth"}): "EndEntityClientAuthCertificate",
    frozenset({"serverAuth"}): "EndEntityServerAuthCertificate",
    frozenset({"clientAuth", "serverAuth"}): "EndEntityCertificate",
}

# what a linter finds in every certificate of these templates, and nobody can change
KNOWN_LINT_FINDINGS = (
    KnownLintFinding(
        code="pkix.key_usage_value_prohibited_for_ec",
        key_type="EC",
        source="AWS Private CA User Guide, template definitions: keyEncipherment whatever the key; RFC 8813 section 3 forbids it",
    ),
)


def end_entity_template(usages: Sequence[str], *, passthrough: bool) -> Template:
    """The template for exactly these extended key usages.

    Raises:
        NotSupported: no template fixes exactly these.
    """
    name = _END_ENTITY.get(frozenset(usages))
    if name is None:
        raise NotSupported(f"AWS Private CA has no template for extended key usage {', '.join(usages)}")
    order = [usage for usage in ("serverAuth", "clientAuth") if usage in usages]
    suffix = "_APIPassthrough" if passthrough else ""
    return Template(name + suffix, _END_ENTITY_KEY_USAGE, tuple(order), passthrough=passthrough)


def root_template(path_length: int | None) -> Template:
    """The template for a self-signed CA; only the blank passthrough family can set a path length."""
    if path_length is None:
        return Template("RootCACertificate", _CA_KEY_USAGE, is_ca=True)
    name = f"BlankRootCACertificate_PathLen{path_length}_APIPassthrough"
    return Template(name, _CA_KEY_USAGE, is_ca=True, path_length=path_length, passthrough=True, blank=True)


def subordinate_template(path_length: int, *, passthrough: bool = False) -> Template:
    """The template for a subordinate CA; ``passthrough`` for one that takes custom extensions (name constraints) from the call."""
    name = f"SubordinateCACertificate_PathLen{path_length}" + ("_APIPassthrough" if passthrough else "")
    return Template(name, _CA_KEY_USAGE, is_ca=True, path_length=path_length, passthrough=passthrough)
