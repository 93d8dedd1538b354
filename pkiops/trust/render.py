"""From an environment to folders of files: the bundles it declares, built from its CAs and its published CRLs, one
folder per target.

What this module decides: that everything is built and rendered before the first file is written, and where it goes:
``DIR/BUNDLE/TARGET/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pkiops.backends.interface import ReadsAuthorities
from pkiops.crl.authorities import KnownAuthority, SkippedAuthority, observe_authorities
from pkiops.crl.check import MIN_REMAINING, CheckedCrl
from pkiops.crl.outside import CertifiedCa, outside_cas
from pkiops.crl.read import read_current
from pkiops.crl.silent import REASON, silent_authorities
from pkiops.environment.models import Bundle, Environment, Revocation
from pkiops.errors import InputError, VerificationFailed
from pkiops.ledger.interface import Entry
from pkiops.stores.interface import Store
from pkiops.trust.bundle import TrustBundle, build_bundle, declared_bundle
from pkiops.trust.exclusive import exclusive
from pkiops.trust.file_rules import require_sound_files
from pkiops.trust.folder import FolderToWrite, write_folders
from pkiops.trust.manifest import content_digest, manifest_file
from pkiops.trust.removal import Removal, find_removals, merged, require_consent
from pkiops.trust.standing import read_standing, require_no_older_crl
from pkiops.trust.targets.interface import RenderedFile, Target
from pkiops.trust.targets.registry import target_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which bundles and targets are meant: all that are declared, unless named. ``environments`` is the folder of the environment files, below
    which the user's own targets are.
    """

    bundle: str | None = None
    target: str | None = None
    environments: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where folders are written. ``location`` is where ``folder`` will be found on the relying party's machine; ``allow_removal`` lets a CA leave a
    bundle though certificates below it live, or though nobody can tell.
    """

    folder: Path
    location: str
    overwrite: bool = False
    allow_removal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedTarget:
    """One written folder; ``change`` is ``created``, ``replaced`` or ``unchanged``."""

    bundle: TrustBundle
    target: str
    path: Path
    change: str
    content_sha256: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RenderOutcome:
    """What was written, which authorities are in none of it, and which CAs are no longer."""

    targets: tuple[RenderedTarget, ...]
    skipped: tuple[SkippedAuthority, ...]
    removals: tuple[Removal, ...] = ()

    @property
    def unpinned(self) -> tuple[str, ...]:
        """Anchors whose fingerprint the environment file does not hold."""
        return tuple(sorted({a.name for t in self.targets for a in t.bundle.anchors if not a.pinned}))


def chosen_targets(environment: Environment, choice: Choice) -> Iterator[tuple[str, str, Target]]:
    """(bundle, target, kind) of everything that is meant, in the order of the file.

    Raises:
        InputError: what was named is not declared, or nothing is.
    """
    names = [choice.bundle] if choice.bundle is not None else list(environment.trust.bundles)
    if not names:
        raise InputError(
            f"environment {environment.environment} declares no trust bundle",
            hint="add trust.bundles to its file",
            code="trust.bundle",
        )
    found = False
    for name in names:
        declared = declared_bundle(environment, name)
        for target in declared.targets:
            if choice.target in {None, target}:
                found = True
                yield name, target, target_of(declared, name, target, choice.environments)
    if not found:
        raise InputError(
            f"no bundle of environment {environment.environment} declares a target {choice.target!r}",
            hint=f"targets of its file: {', '.join(sorted({t for name in names for t in declared_bundle(environment, name).targets}))}",
            code="trust.target",
        )


def render_trust(
    environment: Environment,
    backend: ReadsAuthorities,
    store: Store,
    destination: Destination,
    choice: Choice,
    *,
    at: datetime,
    live_entries: Callable[[datetime], Iterable[Entry]] | None = None,
) -> RenderOutcome:
    """Render the chosen targets into their folders; all or none.

    Args:
        environment: what is declared.
        backend: where its CAs are.
        store: the trust bucket with the published CRLs; read only if a bundle needs CRLs, or lists CAs that one could revoke.
        destination: where the folders go.
        choice: which targets.
        at: the moment (aware) at which everything must be valid.
        live_entries: the entries of the ledger whose certificates have not expired and do so before a moment; None where there is no ledger.

    Raises:
        InputError: the choice fits nothing, or a folder cannot be written.
        VerificationFailed: no CRLs are published, a bundle would fail open or lock everyone out, or a CRL is older than the one that is there.
        GuardRefused: a folder exists that pkiops did not write, or wrote for something else; a CA leaves a bundle below which certificates live; two
            CAs carry one identity.
        BackendError: the backend or the store failed, or somebody else is writing there (InProgress).
    """
    if not destination.location.isprintable() or "`" in destination.location:
        raise InputError(f"the path {destination.location!r} cannot be written into files", code="trust.path")
    chosen = list(chosen_targets(environment, choice))
    authorities = observe_authorities(environment, backend, at)
    bundles = [environment.trust.bundles[name] for name, _, _ in chosen]
    needs_crls = any(one.revocation is not Revocation.NONE for one in bundles)
    crls = crls_for(environment, bundles, authorities.known, store, at=at)
    silent = silent_authorities(authorities.known, backend, published=crls) if needs_crls else ()
    rendered: list[tuple[TrustBundle, str, FolderToWrite]] = []
    for name, target_name, target in chosen:
        bundle = build_bundle(environment, name, speaking(environment, name, authorities.known, silent), crls, at=at)
        files = render_target(bundle, target_name, target, f"{destination.location}/{name}/{target_name}")
        rendered.append((bundle, target_name, FolderToWrite(destination.folder / name / target_name, files)))
    # from the comparison to the last rename nobody else writes there
    with exclusive([folder.path for _, _, folder in rendered]):
        removals = require_consent(
            _removals(rendered, at, overwrite=destination.overwrite),
            [bundle for bundle, _, _ in rendered],
            live_entries,
            at=at,
            allow_removal=destination.allow_removal,
        )
        written = write_folders([folder for _, _, folder in rendered], overwrite=destination.overwrite)
    return RenderOutcome(
        tuple(
            RenderedTarget(
                bundle=bundle,
                target=target_name,
                path=done.path,
                change=done.change,
                content_sha256=content_digest(bundle),
                files=tuple(file.path for file in folder.files),
            )
            for (bundle, target_name, folder), done in zip(rendered, written, strict=True)
        ),
        (*authorities.skipped, *(SkippedAuthority(one.name, REASON) for one in silent)),
        removals,
    )


def _removals(
    rendered: Sequence[tuple[TrustBundle, str, FolderToWrite]], at: datetime, *, overwrite: bool
) -> tuple[Removal, ...]:
    """The CAs that leave, compared to what stands in each folder."""
    found: list[Removal] = []
    for bundle, target_name, folder in rendered:
        standing = read_standing(folder.path, bundle, target_name, overwrite=overwrite)
        if standing is not None:
            require_no_older_crl(standing, bundle, folder.path)
            found.extend(find_removals(standing, bundle, at))
    return merged(found)


def speaking(
    environment: Environment, bundle: str, authorities: Sequence[KnownAuthority], silent: Sequence[KnownAuthority]
) -> tuple[KnownAuthority, ...]:
    """The CAs that count for a bundle: a silent one has no place where everybody needs a CRL."""
    if environment.trust.bundles[bundle].revocation is Revocation.NONE:
        return tuple(authorities)
    return tuple(one for one in authorities if one not in silent)


def render_target(bundle: TrustBundle, name: str, target: Target, location: str) -> tuple[RenderedFile, ...]:
    """Every file of one target's folder, its manifest last.

    Raises:
        VerificationFailed: the target cannot hold the bundle, or a file of it would fail open (``file_rules.py``).
    """
    files = target.render(bundle, location)
    require_sound_files(files, f"bundle {bundle.environment}/{bundle.name}, target {name}")
    return (*files, manifest_file(bundle, name, location, files))


def crls_for(
    environment: Environment,
    bundles: Iterable[Bundle],
    authorities: Sequence[KnownAuthority],
    store: Store,
    *,
    at: datetime,
    margin: timedelta = MIN_REMAINING,
) -> Mapping[str, CheckedCrl]:
    """The published CRLs that bundles are made with, by authority name; the store is not read where none could matter.

    A bundle without revocation that lists intermediates is made with what is published, if anything is: a CA that is revoked is not listed, whichever
    other bundles are made with it.

    Raises:
        VerificationFailed: a bundle needs CRLs and none are published; what is published cannot be trusted.
        BackendError: the store failed.
    """
    wanted = tuple(bundles)
    if any(one.revocation is not Revocation.NONE for one in wanted):
        return published_crls(environment, authorities, store, at=at)
    if any(one.include_intermediates for one in wanted):
        return _published(environment, authorities, store, at, margin) or {}
    return {}


def published_crls(
    environment: Environment, authorities: Sequence[KnownAuthority], store: Store, *, at: datetime
) -> Mapping[str, CheckedCrl]:
    """The CRLs of the published set by authority name.

    Raises:
        VerificationFailed: nothing is published yet, or it cannot be trusted.
        BackendError: the store failed.
    """
    published = _published(environment, authorities, store, at, MIN_REMAINING)
    if published is None:
        raise VerificationFailed(
            f"no CRLs of {environment.environment} are published in {store.describe()}",
            hint=f"pkiops crl publish {environment.environment}",
            code="trust.no-crls",
        )
    return published


def _published(
    environment: Environment, authorities: Sequence[KnownAuthority], store: Store, at: datetime, margin: timedelta
) -> Mapping[str, CheckedCrl] | None:
    everyone: list[CertifiedCa] = [*authorities, *outside_cas(environment, authorities)]
    found = read_current(store, environment.environment, everyone, at=at, margin=margin)
    return None if found is None else {name: one.checked for name, one in found.crls.items()}
