"""``target.yaml``: what a kind of relying party is, as data. Adding one is a folder with this file and its templates.

What this module decides: the keys of the file, and that a description which cannot be rendered safely is refused when it is read: a target needs a
file of trusted certificates, one that checks CRLs needs a file of them, and every path stays below its folder. What the words under ``files`` write
is ``contents.py``'s business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from pkiops.environment.document import read_document
from pkiops.environment.models import Revocation
from pkiops.errors import InputError
from pkiops.trust.own_check import require_command
from pkiops.trust.targets.contents import CRLS, ContentKind, content_kind

_Word = TypeVar("_Word", bound=StrEnum)
FILE = "target.yaml"
TEMPLATE_SUFFIX = ".j2"
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,3}/?")
_RESERVED = frozenset({"MANIFEST.json", FILE})
_MAX_FILES = 40
_MAX_LINES = 40
_MAX_TEXT = 600


class Depth(StrEnum):
    """What a relying party counts when it limits the length of a chain."""

    INTERMEDIATES = "intermediates"
    """The CAs between the root and the client's certificate: nginx, HAProxy, OpenSSL."""
    AUTHORITIES = "authorities"
    """Those and the root: Apache, Envoy."""
    NONE = "none"
    """It has no such setting."""


class Intermediates(StrEnum):
    """What intermediates in the trusted file are to a relying party."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    REFUSED_WITH_CRLS = "refused-with-crls"
    """Each is an anchor of its own: that a CRL of the root revokes it would go unnoticed."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the relying party takes at most; None is no limit. Sizes in bytes, of the PEM file; ``chain`` counts root, CAs and client."""

    certificates: int | None = None
    certificate_bytes: int | None = None
    ca_bytes: int | None = None
    subject_bytes: int | None = None
    chain: int | None = None
    crls: int | None = None
    crl_bytes: int | None = None
    crl_entries: int | None = None
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDescription:
    """A kind of relying party.

    ``files`` is what is written by path: a word of ``contents.py`` or the name of a template; those in ``with_crls`` only if the bundle has CRLs,
    those in ``with_shared_root`` (lists of allowed issuers) only if others may have CAs below its root.
    ``issuer_list``: a template of it names the allowed issuers by itself, without a file of their own.
    ``check`` and ``notes`` are lines of VERIFY.md; ``check_command`` is argv that ``trust verify --allow-check`` runs; ``handshake`` is whether
    ``trust handshake`` can knock at it.
    """

    title: str
    revocations: frozenset[Revocation]
    files: Mapping[str, str]
    depth: Depth = Depth.NONE
    intermediates: Intermediates = Intermediates.ALLOWED
    limits: Limits = field(default_factory=Limits)
    forbidden_in_path: str = "\"'\\$"
    with_crls: frozenset[str] = frozenset()
    with_shared_root: frozenset[str] = frozenset()
    issuer_list: bool = False
    handshake: bool = True
    check: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    check_command: tuple[str, ...] = ()

    def paths_of(self, kind: ContentKind) -> tuple[str, ...]:
        """The files whose content is of this kind, in the order of the description."""
        return tuple(path for path, word in self.files.items() if content_kind(word) is kind)

    @property
    def lists_issuers(self) -> bool:
        """Whether its files say which issuers are meant where others may have CAs below a root."""
        return self.issuer_list or bool(self.with_shared_root)

    @property
    def trusted_files(self) -> tuple[str, ...]:
        """The files of certificates to build chains with, that of the anchors first."""
        return self.paths_of(ContentKind.TRUSTED)


def read_description(data: bytes, name: str) -> TargetDescription:
    """Read ``target.yaml``.

    Args:
        data: its bytes.
        name: its name, for messages.

    Raises:
        InputError: it is no such file; the first problem.
    """
    document = read_document(data, name)
    if document.problems:
        first = document.problems[0]
        raise _wrong(name, f"line {first.line}: {first.message}", first.line)
    return _Reader(name, document.value or {}).description()


class _Reader:
    def __init__(self, name: str, value: Mapping[str, Any]) -> None:
        self._name = name
        self._value = value

    def description(self) -> TargetDescription:
        known = {one.name for one in fields(TargetDescription)}
        unknown = sorted(set(self._value) - known)
        if unknown:
            raise _wrong(self._name, f"unknown key {unknown[0]}; keys: {', '.join(sorted(known))}")
        made = TargetDescription(
            title=self._text("title"),
            revocations=frozenset(self._choice(Revocation, one) for one in self._lines("revocations")),
            files=self._files(),
            depth=self._choice(Depth, self._value.get("depth", "none")),
            intermediates=self._choice(Intermediates, self._value.get("intermediates", "allowed")),
            limits=self._limits(),
            forbidden_in_path=self._text("forbidden_in_path", "\"'\\$"),
            with_crls=frozenset(self._lines("with_crls")),
            with_shared_root=frozenset(self._lines("with_shared_root")),
            issuer_list=self._switch("issuer_list", default=False),
            handshake=self._switch("handshake", default=True),
            check=self._lines("check"),
            notes=self._lines("notes"),
            check_command=self._lines("check_command"),
        )
        self._check(made)
        return made

    def _check(self, made: TargetDescription) -> None:
        require_command(made.check_command, self._name)
        if not made.revocations:
            raise _wrong(self._name, "revocations names none of chain, leaf, none")
        trusted, crls = made.trusted_files, made.paths_of(ContentKind.CRLS)
        if not trusted or made.files[trusted[0]] == "intermediates":
            raise _wrong(self._name, "files must name a file of trusted certificates first (authorities or anchors)")
        checks = made.revocations - {Revocation.NONE}
        if len(crls) != (1 if checks else 0):
            wanted = f"one file with {CRLS}" if checks else f"no {CRLS}: it checks none"
            raise _wrong(self._name, f"files must name {wanted}")
        if (made.with_crls | made.with_shared_root) - set(made.files):
            raise _wrong(self._name, "with_crls or with_shared_root names a file that is not among files")

    def _files(self) -> Mapping[str, str]:
        value = self._value.get("files")
        if not isinstance(value, dict) or not 0 < len(value) <= _MAX_FILES:
            raise _wrong(self._name, f"files must be a mapping of 1 to {_MAX_FILES} files")
        for path, word in value.items():
            if not _PATH.fullmatch(path) or path in _RESERVED:
                raise _wrong(self._name, f"{path!r} cannot be the path of a file of a target")
            if not isinstance(word, str):
                raise _wrong(self._name, f"files.{path} must be a word or the name of a template")
            kind = content_kind(word)
            template = word.endswith(TEMPLATE_SUFFIX) and _PATH.fullmatch(word) and "/" not in word
            if kind is None and not template:
                raise _wrong(
                    self._name, f"files.{path}: {word!r} is neither a content nor a template (NAME{TEMPLATE_SUFFIX})"
                )
            if path.endswith("/") != (kind is ContentKind.FOLDER):
                raise _wrong(self._name, f"files.{path}: a path ends in / if, and only if, its content is a folder")
        return dict(value)

    def _limits(self) -> Limits:
        value = self._value.get("limits", {})
        known = {one.name for one in fields(Limits)}
        sound = isinstance(value, dict) and set(value) <= known
        if not sound or not all(type(one) is int and one > 0 for one in value.values()):
            raise _wrong(self._name, f"limits must be positive numbers by {', '.join(sorted(known))}")
        return Limits(**value)

    def _text(self, key: str, default: str | None = None) -> str:
        value = self._value.get(key, default)
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise _wrong(self._name, f"{key} must be a text")
        return value

    def _lines(self, key: str) -> tuple[str, ...]:
        value = self._value.get(key, [])
        sound = isinstance(value, list) and len(value) <= _MAX_LINES
        if not sound or not all(isinstance(one, str) and len(one) <= _MAX_TEXT for one in value):
            raise _wrong(self._name, f"{key} must be a list of texts")
        return tuple(value)

    def _switch(self, key: str, *, default: bool) -> bool:
        value = self._value.get(key, default)
        if not isinstance(value, bool):
            raise _wrong(self._name, f"{key} must be true or false")
        return value

    def _choice(self, words: type[_Word], value: object) -> _Word:
        if value not in [word.value for word in words]:
            raise _wrong(self._name, f"{value!r} is none of {', '.join(word.value for word in words)}")
        return words(str(value))


def _wrong(name: str, what: str, line: int = 1) -> InputError:
    return InputError(
        f"{name}: {what}",
        hint="docs/guides/own-targets.md describes the file",
        code="trust.target-description",
        details={"file": name, "line": line},
    )
