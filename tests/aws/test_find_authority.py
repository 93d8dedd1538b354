"""``cert issue`` below a pinned root: the calls that it makes, and what the policy of who issues there no longer says."""

from __future__ import annotations

import json
from pathlib import Path

from pkiops.clock import ManualClock
from tests.faults.hierarchy import dev_folder
from tests.faults.proxy import faulty_proxy
from tests.faults.world import World
from tests.sandbox_server import START, running_sandbox

ISSUE = ("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr")


def test_one_read_of_the_index_and_the_certificate_itself(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with running_sandbox(clock=clock) as sandbox, faulty_proxy(sandbox.url) as proxy:
        world = World(dev_folder(tmp_path), sandbox, proxy, clock)
        world.done("ca", "apply", "dev", "--yes")
        name = "dns:a.svc.dev.example.com"
        world.done("cert", "request", "dev", "--profile", "service", "--san", name, "--key", "a.key", "--csr", "a.csr")
        looked = {one.call.operation for one in world.done(*ISSUE, "--output", "looked.pem").calls}
        assert {"ListCertificateAuthorities", "ListTags", "GetCertificateAuthorityCertificate"} <= looked

        (root,) = [
            one
            for one in json.loads(world.done("ca", "show", "dev", "--format", "json").stdout)["authorities"]
            if one["authority"] == "root"
        ]
        world.edit("    path_length: 1 ", f"    sha256: {root['sha256']}\n    path_length: 1 ")
        calls = [one.name for one in world.done(*ISSUE, "--request-id", "2", "--output", "a.pem").calls]
        # who asks goes into the ledger, and no other call says it
        assert list(dict.fromkeys(calls)) == [
            "sts:GetCallerIdentity",
            "s3:GetObject",
            "acm-pca:IssueCertificate",
            "acm-pca:GetCertificate",
        ]
        assert len([one for one in calls if one != "acm-pca:GetCertificate"]) == 3

        # somebody who may write the bucket puts the index of another place there
        index = world.client("s3").get_object(Bucket="example-pki-dev-trust", Key="dev/index.json")["Body"].read()
        forged = json.dumps({**json.loads(index), "account": "999988887777"})
        world.client("s3").put_object(Bucket="example-pki-dev-trust", Key="dev/index.json", Body=forged.encode())
        ran = world.run(*ISSUE, "--request-id", "3", "--output", "b.pem")
        assert (ran.code, (world.folder / "b.pem").exists()) == (8, False)
        assert "find out who wrote s3://example-pki-dev-trust/dev/index.json" in ran.stderr
        assert "IssueCertificate" not in {one.call.operation for one in ran.calls}
