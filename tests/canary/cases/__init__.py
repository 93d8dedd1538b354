"""All cases, in the order in which the shared CA can answer them, and why some open points have none.

``CASES`` is the registry: the names in it are stable, results and the table in the documentation are joined by them.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.canary.case import Case, Phase
from tests.canary.cases import (
    authorities,
    certificates,
    crl_settings,
    crls,
    issuance,
    policies,
    quotas,
    reports,
    requests,
    revocation,
    states,
)

# authorities first: one of its cases has five minutes from the creation of the CA
_MODULES = (
    authorities,
    quotas,
    certificates,
    issuance,
    requests,
    revocation,
    policies,
    crl_settings,
    crls,
    reports,
    states,
)
CASES: tuple[Case, ...] = tuple(
    case for phase in Phase for module in _MODULES for case in module.CASES if case.phase is phase
)

_NO_PRIVATE_CA = "It is no behaviour of AWS Private CA, so that there is nothing in the sandbox to compare it with;"
_BILLED = "No call tells what something costs: it is on the bill, days later."
WITHOUT_CASE: Mapping[str, str] = {
    "IDP CRLs in ALB/NLB/Roles Anywhere": f"{_NO_PRIVATE_CA} it takes load balancers with client certificates, and handshakes.",
    "DER CRL in ELBv2": f"{_NO_PRIVATE_CA} it takes a trust store of Elastic Load Balancing.",
    "intermediate-only anchors in ALB": f"{_NO_PRIVATE_CA} it takes a load balancer, and handshakes.",
    "current certificate price tiers and OCSP price": f"{_BILLED} For the same reason no case turns OCSP on.",
}
