"""The steps of a handshake on stderr as they happen, under ``pkiops -v trust handshake``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkiops.cli.output import note

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from pkiops.clock import Clock
    from pkiops.trust.handshake import Attempt
    from pkiops.trust.steps import Step
    from pkiops.trust.wire import Watcher

_ARROWS = {"client": "->", "server": "<-"}
_LEGEND = "-> from us, <- from the server; tls: every TLS connection has this step, mutual: only one whose client authenticates too"


class StepPrinter:
    """Prints steps and keeps them, if they are wanted; ``ca`` is the file that ``--ca`` names."""

    def __init__(self, ctx: typer.Context, clock: Clock, ca: Path | None) -> None:
        self.wanted = ctx.obj.verbosity > 0
        self._clock = clock
        self._trusted = f"a CA of {ca}" if ca is not None else "a CA that this machine trusts"
        self._steps: list[Step] = []
        self._attempts: list[tuple[str, str | None, int]] = []

    def watcher(self, attempt: Attempt) -> Watcher | None:
        """Who is told of the events of this attempt; None if nobody wants to see steps."""
        return self._begin(attempt) if self.wanted else None

    def watcher_of_many(self, attempt: Attempt, client: str) -> Watcher:
        """Who is told of the events of one of several attempts; it gets a line of its own."""
        watcher = self._begin(attempt)
        note(f"TLS {attempt.tls}, {client}:")
        self._attempts.append((client, attempt.tls, len(self._steps)))
        return watcher

    def _begin(self, attempt: Attempt) -> Watcher:
        from pkiops.trust.steps import Steps

        if not self._steps:
            note(_LEGEND)
        return Steps(self._clock, self._tell, trusted=self._trusted if attempt.verify_server else None)

    def _tell(self, step: Step) -> None:
        self._steps.append(step)
        note(f"{step.ms:6} ms  {step.part:<6}  {_ARROWS[step.sender]}  {step.name}: {step.text}")

    def as_json(self) -> list[dict[str, Any]] | None:
        """The steps that were told, in their order; None if they are not wanted."""
        return [_json(one) for one in self._steps] if self.wanted else None

    def as_json_of_many(self) -> list[dict[str, Any]] | None:
        """The same, attempt by attempt."""
        if not self.wanted:
            return None
        ends = [*(begin for _, _, begin in self._attempts[1:]), len(self._steps)]
        return [
            {"client": client, "tls": tls, "steps": [_json(one) for one in self._steps[begin:end]]}
            for (client, tls, begin), end in zip(self._attempts, ends, strict=True)
        ]


def _json(step: Step) -> dict[str, Any]:
    return {
        "ms": step.ms,
        "part": step.part.value,
        "from": step.sender.value,
        "name": step.name,
        "text": step.text,
    }
