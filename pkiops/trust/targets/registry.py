"""Which folder describes which target: those that come with pkiops, and a user's own.

What this module decides: a target of the user's own is a folder ``targets/NAME/`` beside the environment files, named by a label and so never by a
path; its files are read within bounds, and links in it are not followed.
"""

from __future__ import annotations

import functools
from pathlib import Path

from pkiops.environment.models import Bundle, TargetKind
from pkiops.environment.models import Target as DeclaredTarget
from pkiops.errors import InputError, VerificationFailed
from pkiops.template_sandbox import MAX_SOURCE
from pkiops.templating import template_root
from pkiops.trust.folder import read_file
from pkiops.trust.targets.description import FILE, TEMPLATE_SUFFIX, read_description
from pkiops.trust.targets.interface import Target
from pkiops.trust.targets.rendering import make_target

OWN_FOLDER = "targets"
_MAX_DESCRIPTION = 65_536


@functools.cache
def built_in(kind: TargetKind) -> Target:
    """A target that comes with pkiops."""
    return _load(template_root() / kind.value, kind.value)


def target_of(bundle: Bundle, bundle_name: str, name: str, environments: Path | None = None) -> Target:
    """The target that a bundle declares under ``name``: its ``folder``, or its ``kind``, which is its name unless said.

    Args:
        bundle: what the environment file says.
        bundle_name: its name, for messages.
        name: of the target.
        environments: the folder of the environment files, below which the user's own targets are.

    Raises:
        InputError: the bundle declares no such target, its kind is unknown, its folder is missing or wrong, or it cannot check revocation in the
            way the bundle wants.
    """
    if name not in bundle.targets:
        raise InputError(
            f"bundle {bundle_name} declares no target {name!r}",
            hint=f"its targets: {', '.join(bundle.targets)}",
            code="trust.target",
        )
    target = _declared(bundle.targets[name], f"{bundle_name}/{name}", name, environments)
    if bundle.revocation not in target.revocations:
        ways = ", ".join(sorted(r.value for r in target.revocations))
        raise InputError(
            f"target {bundle_name}/{name}: {target.kind} cannot check revocation in the way {bundle.revocation.value!r}",
            hint=f"it can: {ways}; declare a bundle of its own for it, with revocation: {ways.split(', ')[0]}",
            code="trust.revocation",
        )
    return target


def _declared(declared: DeclaredTarget, where: str, name: str, environments: Path | None) -> Target:
    if declared.folder is not None:
        if environments is None:
            raise InputError(f"target {where}: nothing says where its folder is", code="trust.own-target")
        return _own(environments, declared.folder)
    kind = declared.kind or name
    if kind not in set(TargetKind):
        raise InputError(
            f"target {where}: there is no kind {kind!r}",
            hint=f"add kind: to it; kinds: {', '.join(TargetKind)}",
            code="trust.kind",
        )
    return built_in(TargetKind(kind))


def _own(environments: Path, name: str) -> Target:
    folder = environments / OWN_FOLDER / name
    if not folder.resolve().is_relative_to(environments.resolve()):
        raise InputError(f"{folder} leads out of {environments}", code="trust.own-target")
    return _load(folder, name)


def _load(folder: Path, kind: str) -> Target:
    described = _read(folder, FILE, _MAX_DESCRIPTION)
    if described is None:
        raise InputError(
            f"there is no target in {folder}",
            hint=f"it needs a {FILE} and its templates: docs/guides/own-targets.md",
            code="trust.own-target",
        )
    description = read_description(described, f"{kind}/{FILE}")
    templates: dict[str, str] = {}
    for word in description.files.values():
        if word.endswith(TEMPLATE_SUFFIX) and word not in templates:
            source = _read(folder, word, MAX_SOURCE * 4)
            if source is not None:
                templates[word] = _text(source, f"{kind}/{word}")
    return make_target(kind, description, templates)


def _read(folder: Path, name: str, max_bytes: int) -> bytes | None:
    try:
        return read_file(folder, name, max_bytes=max_bytes)
    except VerificationFailed as error:
        raise InputError(error.message, code="trust.own-target") from error


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8", code="trust.template", details={"file": name}) from error
