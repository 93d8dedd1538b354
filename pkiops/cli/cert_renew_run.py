"""One target of ``pkiops cert renew``, from looking at it to the hook.

What this module decides: the order of the steps, so that a run which is killed between any two of them is finished by the next one:

1 lock; 2 look, and leave alone what another run has renewed meanwhile or what is not due; 3 keep the key that comes next; 4 note the hook; 5 issue
(the ledger makes it one certificate); 6 replace key and chain in one step; 7 forget the kept key; 8 run the hook; 9 forget the note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pkiops.cli.cert_hook import Hook
from pkiops.cli.cert_outputs import CertificateOutputs, RemembersOutputs
from pkiops.cli.cert_renew_state import RenewalState
from pkiops.cli.cert_renew_targets import DiskTarget, GivenKey, read_target
from pkiops.errors import GuardRefused, InputError, InternalError, PartialApply, PkiopsError

if TYPE_CHECKING:
    from cryptography import x509

    from pkiops.cert.issue import Issuance
    from pkiops.cert.order import Issued
    from pkiops.cert.renew import Renewed
    from pkiops.cert.renew_due import DueRule
    from pkiops.ledger.interface import Output
    from pkiops.x509.duration import Duration
    from pkiops.x509.keys import PrivateKey


class RenewalOutcome(StrEnum):
    """What came of a target."""

    RENEWED = "renewed"
    NOT_DUE = "not-due"
    BY_ANOTHER = "renewed-by-another-run"
    FAILED = "failed"


class HookOutcome(StrEnum):
    """What came of its hook."""

    NONE = "none"
    DONE = "done"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True, kw_only=True, slots=True)
class RenewalOptions:
    """What the command line says; ``due`` None renews whatever its age."""

    due: DueRule | None
    profile: str | None
    validity: Duration | None
    new_key: bool
    overwrite: bool
    reissue: bool
    hook: Hook | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RenewalResult:
    """What came of a target, and which certificate is there now."""

    target: str
    outcome: RenewalOutcome
    replaced: str | None = None
    serial: str | None = None
    not_after: datetime | None = None
    due: datetime | None = None
    new_key: bool = False
    written: tuple[str, ...] = ()
    hook: HookOutcome = HookOutcome.NONE
    error: PkiopsError | None = None

    @property
    def changed(self) -> bool:
        """Whether this run changed something."""
        return self.outcome is RenewalOutcome.RENEWED or self.hook is HookOutcome.DONE


@dataclass(frozen=True, kw_only=True, slots=True)
class RenewalRun:
    """Renews targets one by one."""

    issuance: Issuance
    options: RenewalOptions
    given_key: GivenKey

    def on_disk(self, text: str) -> RenewalResult:
        """A folder or a file; what goes wrong with it is in the result."""
        try:
            seen = self._read(text)
            state = RenewalState(seen.state_folder, self.issuance.clock)
            with state.lock():
                return self._locked(text, seen, state)
        except InternalError:
            raise
        except PkiopsError as error:
            return RenewalResult(target=text, outcome=RenewalOutcome.FAILED, error=error)
        except OSError as error:
            # one target that cannot be worked with keeps no other from being renewed
            where = error.filename if isinstance(error.filename, str) else text
            failed = InputError(f"{text}: cannot work with {where}: {error.strerror}", code="usage.input-file")
            return RenewalResult(target=text, outcome=RenewalOutcome.FAILED, error=failed)

    def to_outputs(self, text: str, certificate: x509.Certificate, outputs: CertificateOutputs) -> RenewalResult:
        """A certificate that goes to outputs of its own; again it is the same one, and the hook runs again."""
        from pkiops.cert.renew import renewal_order, to_renew
        from pkiops.x509.certificate import serial_hex

        issuance, options = self.issuance, self.options
        old = to_renew(issuance, certificate, text, profile=options.profile)
        if outputs.key is None:
            raise _key_missing(text)
        order = renewal_order(
            issuance.environment, old, outputs.key, issuance.clock, validity=options.validity, reissue=options.reissue
        )
        prepared = issuance.prepare(order)
        ledger = _OutputsOfBoth(issuance.ledger, old.entry.request_key if old.entry else None)
        with issuance.recorded(prepared):
            outputs.check(ledger, prepared, overwrite=options.overwrite)
        issued = issuance.complete(prepared)
        written = outputs.write(issued, ledger, overwrite=options.overwrite)
        result = RenewalResult(
            target=text,
            outcome=RenewalOutcome.BY_ANOTHER if issued.from_ledger else RenewalOutcome.RENEWED,
            replaced=old.serial,
            serial=serial_hex(issued.certificate.serial_number),
            not_after=issued.certificate.not_valid_after_utc,
            written=written,
        )
        if options.hook is None:
            return result
        problem = options.hook.run(self._facts(result, {"TARGET": text, "WRITTEN": ":".join(written)}))
        return _hook_failed(result, problem) if problem else replace(result, hook=HookOutcome.DONE)

    def _read(self, text: str) -> DiskTarget:
        found = read_target(text, self.given_key, overwrite=self.options.overwrite)
        here = self.issuance.environment.environment
        if found.environment not in {None, here}:
            raise GuardRefused(
                f"{text} holds a certificate of environment {found.environment}, not of {here}",
                hint=f"pkiops cert renew {found.environment} {text}",
                code="cert.other-environment",
            )
        return found

    def _locked(self, text: str, seen: DiskTarget, state: RenewalState) -> RenewalResult:
        from pkiops.cert.renew import to_renew
        from pkiops.x509.certificate import fingerprint

        target = self._read(text)
        current = fingerprint(target.certificate)
        if state.next_key(current) is None:
            state.forget_key()  # it came to its place, and who brought it was killed there
        old = to_renew(self.issuance, target.certificate, text, profile=self.options.profile)
        result = RenewalResult(
            target=text,
            outcome=RenewalOutcome.NOT_DUE,
            serial=old.serial,
            not_after=target.certificate.not_valid_after_utc,
            due=self._due(old, target.certificate),
        )
        if current != fingerprint(seen.certificate):
            result = replace(result, outcome=RenewalOutcome.BY_ANOTHER)
        elif self._is_due(old, result.due):
            result = self._renew(target, old, state, result)
            current = ""
        return self._hooked(target, state, result, is_due=state.is_hook_due(current))

    def _due(self, old: Renewed, certificate: x509.Certificate) -> datetime | None:
        profile = self.issuance.environment.profiles.get(old.profile)
        window = None if profile is None else profile.renewal_window
        return self.options.due.moment(certificate, window) if self.options.due else None

    def _is_due(self, old: Renewed, due: datetime | None) -> bool:
        return due is None or old.is_revoked or self.issuance.clock.now() >= due

    def _renew(self, target: DiskTarget, old: Renewed, state: RenewalState, result: RenewalResult) -> RenewalResult:
        from pkiops.cert.renew import renewal_order
        from pkiops.x509.certificate import fingerprint, serial_hex

        issuance, options = self.issuance, self.options
        replaces = fingerprint(old.certificate)
        key = self._key(target, old, state, replaces)
        order = renewal_order(
            issuance.environment, old, key, issuance.clock, validity=options.validity, reissue=options.reissue
        )
        prepared = issuance.prepare(order)
        outputs = CertificateOutputs((target.output,), key=key)
        # a file was found to be ours by what is in it; a folder is asked for its manifest
        overwrite = options.overwrite or not target.path.is_dir()
        with issuance.recorded(prepared):
            outputs.check(issuance.ledger, prepared, overwrite=overwrite)
        if options.hook is not None:
            state.expect_hook(replaces)
        issued: Issued = issuance.complete(prepared)
        written = outputs.write(issued, issuance.ledger, overwrite=overwrite)
        state.forget_key()
        return replace(
            result,
            outcome=RenewalOutcome.RENEWED,
            replaced=old.serial,
            serial=serial_hex(issued.certificate.serial_number),
            not_after=issued.certificate.not_valid_after_utc,
            due=self._due(old, issued.certificate),
            new_key=options.new_key,
            written=written,
        )

    def _key(self, target: DiskTarget, old: Renewed, state: RenewalState, replaces: str) -> PrivateKey:
        """The key of the new certificate; a new one is kept before anything is asked for."""
        from pkiops.cert.request import make_request
        from pkiops.policy.rules import FromRequest
        from pkiops.x509.keys import key_algorithm_of, load_private_key

        if not self.options.new_key:
            if target.key is None:
                raise _key_missing(str(target.path))
            return target.key
        if not target.takes_new_key:
            raise InputError(
                f"{target.path} and its key are two files, and one would be replaced before the other",
                hint="issue into a folder (cert issue --output folder=DIR) or one file (--output combined=FILE), and renew that",
                code="usage.new-key",
            )
        kept = state.next_key(replaces)
        if kept is None:
            environment = self.issuance.environment
            profile = environment.profiles.get(old.profile)
            algorithm = key_algorithm_of(target.certificate.public_key())
            claims_name = profile is not None and isinstance(profile.subject.common_name, FromRequest)
            kept = make_request(
                environment,
                old.profile,
                sans=old.names,
                common_name=old.common_name if claims_name else None,
                key_algorithm=algorithm if profile is not None and algorithm in profile.keys else None,
                now=self.issuance.clock.now(),
            ).key_pem
            state.keep_key(replaces, kept)
        return load_private_key(kept, f"the kept key of {target.path}")

    def _hooked(self, target: DiskTarget, state: RenewalState, result: RenewalResult, *, is_due: bool) -> RenewalResult:
        hook = self.options.hook
        if not is_due:
            return result
        if hook is None:
            return replace(result, hook=HookOutcome.PENDING)
        problem = hook.run(self._facts(result, target.facts()))
        if problem is not None:
            return _hook_failed(result, problem)
        state.hook_done()
        return replace(result, hook=HookOutcome.DONE)

    def _facts(self, result: RenewalResult, paths: Mapping[str, str]) -> dict[str, str]:
        """What a hook finds in its environment."""
        facts = {**paths, "ENVIRONMENT": self.issuance.environment.environment, "SERIAL": result.serial or ""}
        if result.not_after is not None:
            facts["NOT_AFTER"] = f"{result.not_after:%Y-%m-%dT%H:%M:%SZ}"
        return facts


def _key_missing(text: str) -> InputError:
    return InputError(
        f"renewing {text} takes a private key",
        hint="give it with --key FILE; it is read here and sent nowhere",
        code="output.key-missing",
    )


def _hook_failed(result: RenewalResult, problem: str) -> RenewalResult:
    error = PartialApply(
        f"{result.target} is renewed, but the hook failed: {problem}",
        hint="mend the hook and run it again with --due: nothing is renewed before its time, and the hook runs",
        code="cert.hook-failed",
    )
    return replace(result, hook=HookOutcome.FAILED, error=error)


@dataclass(frozen=True, slots=True)
class _OutputsOfBoth:
    """The ledger's outputs of a request, and of the one whose certificate is replaced: what that wrote is ours to replace."""

    ledger: RemembersOutputs
    replaced: str | None

    def record_outputs(self, entry_id: str, outputs: Sequence[Output]) -> None:
        self.ledger.record_outputs(entry_id, outputs)

    def outputs(self, request_key: str) -> Mapping[str, frozenset[str]]:
        known = dict(self.ledger.outputs(request_key))
        for path, digests in (self.ledger.outputs(self.replaced) if self.replaced else {}).items():
            known[path] = known.get(path, frozenset()) | digests
        return known
