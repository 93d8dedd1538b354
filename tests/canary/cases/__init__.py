"""All cases, in the order in which the shared CA can answer them."""

from __future__ import annotations

from tests.canary.case import Case, Phase
from tests.canary.cases import authorities, certificates, issuance, policies, reports, requests, revocation, states

_MODULES = (authorities, certificates, issuance, requests, revocation, reports, policies, states)
CASES: tuple[Case, ...] = tuple(
    case for phase in Phase for module in _MODULES for case in module.CASES if case.phase is phase
)
