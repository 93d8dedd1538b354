"""What stands in a folder that is about to be replaced, as its ``MANIFEST.json`` tells it: hostile when read.

What this module decides: what of a manifest is taken (names, digests and moments, each bounded and of the right form), that a folder of another
environment, bundle or target is not taken for an older one of this, and that no CRL goes back behind the one that is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pkiops.errors import GuardRefused, VerificationFailed
from pkiops.trust import manifest
from pkiops.trust.bundle import TrustBundle
from pkiops.trust.folder import read_file
from pkiops.x509.names import printable

_MAX_LISTED = 2000
_MAX_TEXT = 4096
_MAX_NUMBER = 1 << 168  # a CRL number has at most 20 octets (RFC 5280 section 5.2.3)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{2,128}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,80}-g[0-9]{1,6}")
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class StandingCertificate:
    """A certificate that relying parties hold; ``authority`` is ``root-g1``, ``ski`` None if it has none."""

    authority: str
    role: str
    subject: str
    sha256: str
    ski: str | None
    not_after: datetime


@dataclass(frozen=True, slots=True)
class StandingCrl:
    """A CRL that relying parties hold; ``aki`` is the key identifier of its CA."""

    authority: str
    issuer: str
    aki: str
    number: int
    next_update: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What a folder holds now."""

    certificates: tuple[StandingCertificate, ...]
    crls: tuple[StandingCrl, ...]


def read_standing(path: Path, bundle: TrustBundle, target: str, *, overwrite: bool) -> Standing | None:
    """What stands in the folder of a target; None where nothing does, or nothing of ours, which the writer of the folder sees to.

    Args:
        path: the folder.
        bundle: what is to stand there.
        target: its name.
        overwrite: whether another one's folder may be replaced; it is then compared with nothing.

    Raises:
        GuardRefused: it is of another environment, bundle or target, or does not say what is in it; and ``overwrite`` is off.
        InputError: it cannot be read.
    """
    if path.is_symlink() or not path.is_dir():
        return None
    name = str(path / manifest.NAME)
    try:
        data = read_file(path, manifest.NAME, max_bytes=manifest.MAX_BYTES)
        if data is None:
            return None
        known = manifest.read_manifest(data, name)
    except VerificationFailed:
        return None
    found, meant = (known.environment, known.bundle, known.target), (bundle.environment, bundle.name, target)
    if found != meant:
        if overwrite:
            return None
        raise GuardRefused(
            f"{path} holds {printable('/'.join(found))[:200]}, not {'/'.join(meant)}",
            hint="choose another folder with --to for each environment; --overwrite replaces it",
            code="guard.other-bundle",
        )
    try:
        return parse_standing(manifest.read_document(data, name), name)
    except VerificationFailed as error:
        if overwrite:
            return None
        raise GuardRefused(
            f"{error.message}: nobody can tell which CAs would leave the bundle",
            hint="look at the folder; --overwrite replaces it, whatever was in it",
            code="guard.damaged-manifest",
        ) from error


def require_no_older_crl(standing: Standing, bundle: TrustBundle, path: Path) -> None:
    """Refuse a CRL whose number is lower than that of the same CA in the folder: an old set was put back, or a stale mirror was read.

    Raises:
        VerificationFailed: code ``trust.crl-older``.
    """
    numbers: dict[tuple[str, str], int] = {}
    for crl in standing.crls:
        key = (crl.issuer, crl.aki)
        numbers[key] = max(crl.number, numbers.get(key, 0))
    for one in bundle.crls:
        shown = one.checked.view
        there = numbers.get((shown.issuer, one.checked.authority_key_identifier), 0)
        if one.checked.number < there:
            raise VerificationFailed(
                f"the CRL of {one.name} has number {one.checked.number}, but {path} holds number {there} already",
                hint="what is published has gone back: find out who did it (the bucket keeps older versions); if it is meant, remove the folder",
                code="trust.crl-older",
                details={"authority": one.name, "number": one.checked.number, "standing": there},
            )


def parse_standing(document: Mapping[str, Any], name: str) -> Standing:
    """The certificates and CRLs of a manifest.

    Raises:
        VerificationFailed: a field is missing, too large or of the wrong form.
    """
    try:
        return Standing(
            tuple(_certificate(one) for one in _listed(document, "certificates")),
            tuple(_crl(one) for one in _listed(document, "crls")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationFailed(f"{name} does not say what is in its folder", code="trust.manifest") from error


def _listed(document: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    found = document[key]
    if not isinstance(found, list) or len(found) > _MAX_LISTED or not all(isinstance(one, dict) for one in found):
        raise ValueError(key)
    yield from found


def _certificate(one: Mapping[str, Any]) -> StandingCertificate:
    return StandingCertificate(
        authority=_text(one, "authority", _NAME),
        role=_text(one, "role", re.compile("anchor|intermediate")),
        subject=_text(one, "subject"),
        sha256=_text(one, "sha256", _SHA256),
        ski=None if one["ski"] is None else _text(one, "ski", _KEY),
        not_after=_moment(one, "not_after"),
    )


def _crl(one: Mapping[str, Any]) -> StandingCrl:
    number = one["number"]
    if type(number) is not int or not 0 <= number < _MAX_NUMBER:
        raise ValueError("number")
    return StandingCrl(
        authority=_text(one, "authority", _NAME),
        issuer=_text(one, "issuer"),
        aki=_text(one, "aki", _KEY),
        number=number,
        next_update=_moment(one, "next_update"),
    )


def _moment(one: Mapping[str, Any], key: str) -> datetime:
    return datetime.strptime(_text(one, key), _MOMENT).replace(tzinfo=UTC)


def _text(one: Mapping[str, Any], key: str, form: re.Pattern[str] | None = None) -> str:
    value = one[key]
    if not isinstance(value, str) or len(value) > _MAX_TEXT or (form and not form.fullmatch(value)):
        raise ValueError(key)
    return value
