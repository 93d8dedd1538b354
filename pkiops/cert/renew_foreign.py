"""Is a certificate that the ledger does not know one of a profile's CA?

What this module decides: that it counts now (signature, validity, not revoked), and that the CA right above it is the profile's, of whatever
generation. Otherwise anybody could write a certificate for a name of somebody else and have it "renewed".
"""

from __future__ import annotations

from cryptography import x509

from pkiops.backends.interface import ReadsAuthorities
from pkiops.cert.prepare import profile_of
from pkiops.cert.verify import material_of_environment, verify_certificate
from pkiops.clock import Clock
from pkiops.crl.authorities import observe_authorities
from pkiops.environment.models import Environment
from pkiops.errors import NotSupported, VerificationFailed
from pkiops.x509.certificate import view
from pkiops.x509.chain import Purpose


def require_issued_by(
    environment: Environment,
    backend: object,
    profile: str,
    certificate: x509.Certificate,
    source: str,
    *,
    clock: Clock,
) -> None:
    """Accept a certificate of the profile's CA that counts now.

    Raises:
        VerificationFailed: code ``cert.not-ours``, it is not that.
        InputError: there is no such profile.
        BackendError: the CAs cannot be read.
    """
    label = profile_of(environment, profile).authority
    if not isinstance(backend, ReadsAuthorities):
        raise NotSupported(f"the backend of environment {environment.environment} does not read CAs")
    usages = view(certificate).extended_key_usage
    purpose = next((one for one in Purpose if one.value in usages), Purpose.CLIENT)
    now = clock.now()
    try:
        material = material_of_environment(environment, backend, clock)
        above = verify_certificate([certificate], material, purpose=purpose, at=now).certificates[1]
    except VerificationFailed as error:
        raise _not_ours(environment, label, source, error.message) from error
    known = observe_authorities(environment, backend, now).known
    if above not in {one.certificate for one in known if one.label == label}:
        raise _not_ours(environment, label, source, "another CA issued it")


def _not_ours(environment: Environment, label: str, source: str, why: str) -> VerificationFailed:
    return VerificationFailed(
        f"the ledger does not know the certificate in {source}, and it is no valid one of {environment.environment}/ca/{label}: {why}",
        hint="what another CA issued is not renewed here: pkiops cert issue makes a first certificate",
        code="cert.not-ours",
    )
