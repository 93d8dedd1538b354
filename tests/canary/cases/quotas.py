"""Quotas, as Service Quotas tells them."""

from __future__ import annotations

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.workspace import Workspace


def _certificates_per_authority(workspace: Workspace) -> Observation:
    values: list[int] = []
    found = workspace.outcome(
        lambda: values.append(
            int(workspace.quotas.get_service_quota(ServiceCode="acm-pca", QuotaCode="L-5D3ECC67")["Quota"]["Value"])
        )
    )
    return {"certificates": values[0]} if found == ACCEPTED else found


CASES: tuple[Case, ...] = (
    Case(
        name="quota-certificates-per-authority",
        operation="GetServiceQuota",
        phase=Phase.PENDING,
        settles="The value of the newer quota on certificates per CA. The sandbox has no Service Quotas, so that any value differs.",
        source="quota named L-5D3ECC67, its value not seen",
        section="5",
        open_point="value of quota L-5D3ECC67",
        expected=refused("NoSuchResourceException"),
        observe=_certificates_per_authority,
    ),
)
