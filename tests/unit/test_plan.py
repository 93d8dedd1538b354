"""Running a plan: order, stop at the first failure, what was done is said."""

from __future__ import annotations

import pytest

from pkiops.errors import AccessDenied, PartialApply
from pkiops.plan import Action, ActionKind, Plan, run_plan


def steps(*names: str, kind: ActionKind = ActionKind.CREATE) -> tuple[Action, ...]:
    return tuple(Action(kind, f"dev/ca/{name}", "because") for name in names)


def test_actions_run_in_order_and_those_that_changed_nothing_are_not_reported() -> None:
    seen: list[str] = []

    def perform(action: Action) -> bool:
        seen.append(action.address)
        return action.address != "dev/ca/b"

    done = run_plan(Plan("dev", steps("a", "b", "c")), {"ca": perform}, resume="again")
    assert seen == ["dev/ca/a", "dev/ca/b", "dev/ca/c"]
    assert [action.address for action in done] == ["dev/ca/a", "dev/ca/c"]


def test_what_waits_for_a_person_or_needs_nothing_is_not_run() -> None:
    actions = steps("a", kind=ActionKind.BLOCKED) + steps("b", kind=ActionKind.NO_OP)

    def perform(action: Action) -> bool:
        raise AssertionError(action)

    assert run_plan(Plan("dev", actions), {"ca": perform}, resume="again") == ()


def failing_at(name: str) -> dict[str, object]:
    def perform(action: Action) -> bool:
        if action.address.endswith(name):
            raise AccessDenied("no", hint="ask for it")
        return True

    return {"ca": perform}


def test_a_first_failure_is_itself() -> None:
    with pytest.raises(AccessDenied):
        run_plan(Plan("dev", steps("a", "b")), failing_at("a"), resume="again")  # type: ignore[arg-type]


def test_a_later_failure_says_what_was_done_and_how_to_go_on() -> None:
    with pytest.raises(PartialApply) as caught:
        run_plan(Plan("dev", steps("a", "b", "c")), failing_at("b"), resume="pkiops ca apply dev")  # type: ignore[arg-type]
    error = caught.value
    assert error.exit_code == 7
    assert error.details["done"] == ["create dev/ca/a"]
    assert error.details["failed"] == "create dev/ca/b"
    assert error.details["cause"]["code"] == "backend.access-denied"
    assert "pkiops ca apply dev" in (error.hint or "")
    assert "ask for it" in (error.hint or "")
