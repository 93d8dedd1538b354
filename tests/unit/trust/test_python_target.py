"""The module that is rendered for Python, in a process that goes on while the root is renewed."""

from __future__ import annotations

import importlib.util
import json
import ssl
from pathlib import Path

import pytest

from pkiops.environment.models import TargetKind
from tests.live.site import Site


def test_the_module_loads_more_cas_than_there_were_when_it_was_imported(tmp_path: Path) -> None:
    site = Site(tmp_path, TargetKind.PYTHON)
    folder = site.render()
    spec = importlib.util.spec_from_file_location("rendered_mtls", folder / "mtls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def loaded() -> int:
        context = module.demand_clients(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        assert context.verify_mode is ssl.CERT_REQUIRED
        return int(context.cert_store_stats()["x509"])

    assert loaded() == 1
    site.renew_root()
    assert loaded() == 2
    manifest = json.loads((folder / "MANIFEST.json").read_bytes())
    manifest["crls"].pop()
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(RuntimeError, match="but 2 CAs and 6 CRLs"):
        loaded()
