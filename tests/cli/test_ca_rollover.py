"""A new generation beside an old one, through the commands: it waits for its first certificate and holds up nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pkiops.clock import SystemClock
from tests.cli.test_ca import edit, folder, pkiops
from tests.sandbox_server import RunningSandbox, running_sandbox

__all__ = ["folder", "pkiops"]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    # OpenSSL, which makes the handshakes, goes by the clock of this machine
    with running_sandbox(clock=SystemClock()) as running:
        yield running


def done(pkiops: Any, *words: str) -> Any:
    result = pkiops(*words)
    assert result.exit_code == 0, (words, result.output)
    return result


def issue(pkiops: Any, name: str) -> None:
    request = ("cert", "request", "dev", "--profile", "service", "--san", f"dns:{name}.svc.dev.example.com")
    done(pkiops, *request, "--key", f"{name}.key", "--csr", f"{name}.csr")
    done(pkiops, "cert", "issue", "dev", "--profile", "service", "--csr", f"{name}.csr", "--output", f"{name}.pem")


def test_a_new_generation_holds_up_no_crl_and_no_bundle_of_the_old_one(pkiops: Any, folder: Path) -> None:
    done(pkiops, "ca", "apply", "dev", "--yes")
    assert pkiops("crl", "publish", "dev").exit_code == 8  # the first set is complete
    issue(pkiops, "old")
    done(pkiops, "crl", "publish", "dev")

    edit(folder, "    issuer: root", "    issuer: root\n    generation: 2")
    edit(folder, "Clients CA G1", "Clients CA G2")
    done(pkiops, "ca", "apply", "dev", "--yes")
    published = done(pkiops, "crl", "publish", "dev")
    assert "not in the set: clients-g2: has issued nothing yet" in published.stderr
    rendered = done(pkiops, "trust", "render", "dev", "--to", "out")
    assert "in no bundle: clients-g2: has issued nothing yet" in rendered.stderr
    done(pkiops, "trust", "verify", "dev", "out", "--probe", "old.pem,old.key")

    # its first certificate: files without its CRL would lock its clients out, and whoever looks is told
    issue(pkiops, "new")
    late = pkiops("trust", "verify", "dev", "out")
    assert late.exit_code == 8
    assert "no usable CRL of clients-g2" in late.stdout
    assert pkiops("trust", "render", "dev", "--to", "out").exit_code == 8
    done(pkiops, "crl", "publish", "dev")
    done(pkiops, "trust", "render", "dev", "--to", "out")
    done(pkiops, "trust", "verify", "dev", "out", "--probe", "old.pem,old.key", "--probe", "new.pem,new.key")
