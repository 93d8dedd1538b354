"""An environment of many authorities, made as ``ca apply`` makes them but without waiting: one root, and everything else below it.

Nothing is imitated: the calls are the backend's own, on a clock that does not wait, so that the service's rates cost no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from pkiops.backends.aws_private_ca.backend import AwsPrivateCa
from pkiops.backends.interface import AuthorityCertificateRequest
from pkiops.backends.routed import RoutedAuthorities
from pkiops.ca.desired import Desired, DesiredAuthority, desired_state
from pkiops.clock import ManualClock, SystemClock
from pkiops.environment.index import AuthorityIndex, IndexedAuthority, encode_index, index_digest, index_key
from pkiops.environment.load import load_file
from pkiops.environment.models import Environment
from pkiops.factory import Factory
from pkiops.x509.algorithms import SigningAlgorithm

NAME = "many"
ACCOUNT, REGION = "123456789012", "eu-west-1"
_HEAD = f"""\
schema: 1
environment: {NAME}
backend: {{type: aws-private-ca, region: {REGION}, account: "{ACCOUNT}", sandbox: true}}
ledger: {{type: sqlite, path: .pkiops/many.db}}
publication:
  crl: {{bucket: example-pki-many-crl, host: pki.many.example.com}}
  trust: {{bucket: example-pki-many-trust}}
authorities:
"""
_AUTHORITY = """\
  {label}:
    subject: {{common_name: "Example Many {label} G1", organization: Example Ltd, country: GB}}
    key_algorithm: EC_prime256v1
    crl: {{validity: 7d}}
    {more}
"""
# what no list tells: a permission that is not there and shall not be, and no policy where none shall be
_SHARED = ("    acm_permission: false\n", "    policy: {}\n")


def environment_text(count: int, *, shared: int = 0) -> str:
    """The file of an environment of ``count`` authorities, the last ``shared`` of which declare a permission or a policy."""
    parts = [_HEAD, _AUTHORITY.format(label="root", more="validity: 20y\n    path_length: 1")]
    for number in range(1, count):
        parts.append(_AUTHORITY.format(label=f"a{number:04d}", more="issuer: root\n    validity: 5y"))
        if number >= count - shared:
            parts.append(_SHARED[number % 2])
    return "".join(parts)


def write_environment(folder: Path, count: int, *, shared: int = 0) -> Environment:
    """Write ``many.yaml`` into a folder, and read it back."""
    path = folder / f"{NAME}.yaml"
    path.write_text(environment_text(count, shared=shared), encoding="utf-8")
    return load_file(path)


class Estate:
    """Fills a sandbox with an environment, which may grow.

    Args:
        url: where the sandbox listens.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: dict[str, tuple[str, tuple[bytes, ...]]] = {}

    @property
    def references(self) -> Sequence[str]:
        """The CAs that were made, the root first."""
        return [reference for reference, _ in self._made.values()]

    def grow(self, environment: Environment) -> None:
        """Make what is missing, and publish the index: nothing is left to plan."""
        factory = Factory(environment, variables={"PKIOPS_SANDBOX_URL": self._url})
        backend = Factory(
            environment, variables={"PKIOPS_SANDBOX_URL": self._url}, clock=ManualClock(SystemClock().now())
        ).backend
        desired = desired_state(environment, backend, factory.buckets)
        for bucket in desired.buckets:
            factory.buckets.ensure_bucket(bucket)
        for wanted in desired.authorities:
            if wanted.label not in self._made:
                self._made[wanted.label] = self._make(backend, desired, wanted)
        index = encode_index(self._index(environment))
        factory.trust_store.put(index_key(environment.environment), index, content_type="application/json")

    def _make(
        self, backend: AwsPrivateCa | RoutedAuthorities, desired: Desired, wanted: DesiredAuthority
    ) -> tuple[str, tuple[bytes, ...]]:
        reference = backend.create_authority(wanted.request)
        issuer, chain = self._made[wanted.issuer] if wanted.issuer else (reference, ())
        signer = next(one for one in desired.authorities if one.label == (wanted.issuer or wanted.label))
        created_at = backend.describe_authority(reference).created_at
        request = AuthorityCertificateRequest(
            authority=reference,
            issuer=issuer,
            issuer_signing_algorithm=SigningAlgorithm(signer.request.signing_algorithm),
            csr_der=backend.authority_csr(reference),
            path_length=wanted.path_length,
            not_before=created_at - timedelta(hours=1),
            not_after=wanted.validity.after(created_at),
        )
        signed = backend.sign_authority(request)
        backend.install_authority(reference, signed)
        return reference, (signed[0], *chain)

    def _index(self, environment: Environment) -> AuthorityIndex:
        return AuthorityIndex(
            environment=environment.environment,
            account=environment.backend.account,
            region=environment.backend.region,
            digest=index_digest(environment),
            authorities=tuple(
                IndexedAuthority(label=label, generation=1, reference=self._made[label][0], chain=self._made[label][1])
                for label in environment.authorities
            ),
        )
