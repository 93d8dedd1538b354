"""The matrix raises no false alarm: over random hierarchies, every bundle that can be built has every case as expected."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given

from pkiops.clock import SystemClock
from pkiops.environment.models import TargetKind
from pkiops.errors import VerificationFailed
from pkiops.trust.bundle import build_bundle
from pkiops.trust.matrix import MatrixOfBundle
from pkiops.trust.targets.registry import built_in
from tests.builders import AT
from tests.seeded import seeded
from tests.unit.trust.hierarchies import Case, cases


@seeded(5)
@given(cases())
def test_what_can_be_built_is_as_expected(case: Case) -> None:
    try:
        build_bundle(case.environment, "services", case.authorities, case.crls, at=AT)
    except VerificationFailed:
        return
    with tempfile.TemporaryDirectory() as name:
        matrix = MatrixOfBundle(case.environment, "services", case.authorities, SystemClock().now(), Path(name))
        result = matrix.try_target("pem", built_in(TargetKind.PEM), "/x")
    assert result.wrong == 0, [
        one for one in (*result.results, *result.untried) if not getattr(one, "as_expected", False)
    ]
