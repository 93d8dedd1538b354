"""How long certificates may live, and when the same request is the same certificate."""

from __future__ import annotations

from datetime import timedelta

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.certificates import csr
from tests.canary.workspace import Workspace, absolute

_SUBORDINATE = "SubordinateCACertificate_PathLen0"


def _lasting(workspace: Workspace, days: float, template: str = "EndEntityClientAuthCertificate") -> Observation:
    return workspace.ask_issue(csr(), template, not_after=workspace.now() + timedelta(days=days))


def _from_to(workspace: Workspace, start: float, end: float) -> Observation:
    now = workspace.now()
    return workspace.ask_issue(
        csr(), not_after=now + timedelta(days=end), ValidityNotBefore=absolute(now + timedelta(days=start))
    )


def _same_token(workspace: Workspace) -> Observation:
    first = workspace.issue_request(csr("first.example.com"), "EndEntityClientAuthCertificate")
    second = {**first, "Csr": csr("second.example.com")}
    arns: list[str] = []
    for request in (first, second):
        found = workspace.outcome(lambda: arns.append(workspace.pca.issue_certificate(**request)["CertificateArn"]))  # noqa: B023 - called at once
        if found != ACCEPTED:
            return found
    return {"certificates": len(set(arns))}


CASES: tuple[Case, ...] = (
    Case(
        name="issue-same-token-other-csr",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a token that is used again with another CSR within five minutes gives the first certificate, a second one, or a refusal.",
        source="silent; in ACM the token was seen to win",
        section="1.3",
        open_point="same token with different parameters",
        expected={"certificates": 1},
        observe=_same_token,
        certificates=2,
    ),
    Case(
        name="short-lived-subordinate",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a CA in short-lived mode signs certificates of subordinate CAs at all.",
        source="silent: the console offers general-purpose parents only",
        section="2.1",
        open_point="subordinate templates in short-lived mode",
        expected=ACCEPTED,
        observe=lambda workspace: _lasting(workspace, 6, _SUBORDINATE),
        certificates=1,
    ),
    Case(
        name="short-lived-subordinate-over-seven-days",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether the seven days of short-lived mode hold for subordinate CAs too.",
        source="silent",
        section="2.1",
        open_point="subordinate templates in short-lived mode",
        expected=refused("ValidationException"),
        observe=lambda workspace: _lasting(workspace, 8, _SUBORDINATE),
        certificates=1,
    ),
    Case(
        name="short-lived-over-seven-days",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="How a certificate of eight days is refused in short-lived mode.",
        source="user guide, short-lived certificates; silent on the code",
        section="2.3",
        expected=refused("ValidationException"),
        observe=lambda workspace: _lasting(workspace, 8),
        certificates=1,
    ),
    Case(
        name="short-lived-seven-days-exactly",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether seven days from now are still allowed, though the default start makes it a life of seven days and an hour.",
        source="silent on where the seven days begin",
        section="2.3",
        open_point="7-day limit relative to NotBefore",
        # a minute less, for the moment between our clock and the service's
        expected=ACCEPTED,
        observe=lambda workspace: _lasting(workspace, 7 - 1 / 1440),
        certificates=1,
    ),
    Case(
        name="short-lived-started-in-the-past",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a life of eight days is allowed if it ends within seven from now.",
        source="silent on where the seven days begin",
        section="2.3",
        open_point="7-day limit relative to NotBefore",
        expected=ACCEPTED,
        observe=lambda workspace: _from_to(workspace, -2, 6),
        certificates=1,
    ),
    Case(
        name="short-lived-starting-later",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a life of six days is allowed if it ends more than seven from now.",
        source="silent on where the seven days begin",
        section="2.3",
        open_point="7-day limit relative to NotBefore",
        expected=refused("ValidationException"),
        observe=lambda workspace: _from_to(workspace, 3, 9),
        certificates=1,
    ),
)
