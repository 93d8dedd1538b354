"""Publishing CRLs, whose every call is failed: the set in the trust bucket is whole and the newest in the end."""

from __future__ import annotations

import json

from cryptography import x509

from tests.faults.hierarchy import CRL_BUCKET, TRUST_BUCKET
from tests.faults.issuing import issued, revoke
from tests.faults.publishers import numbers_in
from tests.faults.world import Verb, World

_PUBLISH = ("crl", "publish", "dev")


def _outdated(world: World) -> None:
    """A set is published, and a certificate was revoked since."""
    issued(world)
    world.done(*_PUBLISH)
    world.done(*revoke(world))


def _newest(world: World) -> None:
    """The published set is whole, and holds the CRL that the subordinate wrote last."""
    s3 = world.client("s3")
    objects = {
        one["Key"]: s3.get_object(Bucket=TRUST_BUCKET, Key=one["Key"])["Body"].read()
        for one in s3.list_objects_v2(Bucket=TRUST_BUCKET, Prefix="dev/crl/")["Contents"]
    }
    numbers = numbers_in(objects, json.loads(objects["dev/crl/current.json"])["manifest_sha256"], "dev")
    key = f"crl/{world.arn('clients').rpartition('/')[2]}.crl"
    newest = x509.load_der_x509_crl(s3.get_object(Bucket=CRL_BUCKET, Key=key)["Body"].read())
    assert numbers["clients-g1"] == newest.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    world.done(*_PUBLISH)


# whoever may not write the history publishes all the same, and says so
PUBLISHING = (Verb("crl publish", lambda world: _PUBLISH, _newest, _outdated, tolerates=frozenset({"PutObject"})),)
