"""A certificate in AWS Secrets Manager or Parameter Store, as one of the outputs of ``pkiops cert``.

What this module decides: a secret is replaced without ``--overwrite`` only if its current version is pkiops' own and its tags say that it holds the
same names of the same profile and environment. How a service keeps it is the stores'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkiops.errors import GuardRefused

if TYPE_CHECKING:
    from pkiops.cert.formats import Material
    from pkiops.cert.server_folder import Owner
    from pkiops.stores.secret_places import SecretPlace


def check_place(place: SecretPlace, name: str, owner: Owner, *, overwrite: bool) -> None:
    """Ask whether the certificate of ``owner`` may be written there.

    Raises:
        GuardRefused: something else is there, and ``overwrite`` is off.
        BackendError: the service refused.
    """
    from pkiops.stores.secret_places import OWNER_TAG

    kept = place.look(name)
    if kept is None or overwrite:
        return
    if not kept.ours or kept.tags.get(OWNER_TAG) != owner.sha256:
        what = "holds a certificate of other names" if kept.ours else "exists, or was changed since it was written"
        raise GuardRefused(
            f"{place.describe(name)} {what}", hint="choose another name, or add --overwrite", code="guard.overwrite"
        )


def write_place(place: SecretPlace, name: str, material: Material, owner: Owner, *, overwrite: bool) -> str:
    """Write the document of a certificate as the current version. What to call it.

    Raises:
        GuardRefused: something else is there by now, and ``overwrite`` is off.
        BackendError: the service refused.
        InputError: it is too long for the service.
    """
    from pkiops.cert.formats import secret_document
    from pkiops.stores.secret_places import ENVIRONMENT_TAG, OWNER_TAG, PROFILE_TAG

    check_place(place, name, owner, overwrite=overwrite)
    tags = {ENVIRONMENT_TAG: owner.environment, PROFILE_TAG: owner.profile, OWNER_TAG: owner.sha256}
    place.put(name, secret_document(material), tags)
    return place.describe(name)
