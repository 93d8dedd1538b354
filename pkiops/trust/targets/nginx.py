"""nginx: a file of CAs, a file of CRLs, and a snippet to include in a server block.

What this module decides: ``ssl_verify_depth`` counts the CAs between anchor and end entity; whoever sets ``ssl_crl``
gets every CA of the chain checked, so ``revocation: leaf`` does not exist here; sessions are not resumed, because a
resumed one is not checked against a newer CRL.
"""

from __future__ import annotations

from pkiops.environment.models import Revocation, TargetKind
from pkiops.errors import InputError
from pkiops.templating import load_template
from pkiops.trust.bundle import TrustBundle
from pkiops.trust.pem_file import ca_file, crl_file
from pkiops.trust.targets.interface import RenderedFile, Target

CA, CRL, SNIPPET = "ca.pem", "crl.pem", "mtls.conf"


def render(bundle: TrustBundle, location: str) -> tuple[RenderedFile, ...]:
    """The files of the bundle; the snippet names them by absolute path.

    Raises:
        InputError: ``location`` cannot be written into a configuration of nginx.
    """
    if any(character in '"\\$' or not character.isprintable() for character in location):
        raise InputError(
            f"the path {location!r} cannot be written into a configuration of nginx",
            hint="choose a path without quotes, backslashes, dollar signs and control characters (--path)",
            code="trust.path",
        )
    files = [RenderedFile(CA, ca_file(bundle.certificates))]
    if bundle.crls:
        files.append(RenderedFile(CRL, crl_file(bundle.crls)))
    for path, template in ((SNIPPET, "nginx/mtls.conf.j2"), ("VERIFY.md", "nginx/VERIFY.md.j2")):
        text = load_template(template).render(bundle=bundle, location=location, depth=bundle.intermediate_depth)
        files.append(RenderedFile(path, text.encode()))
    return tuple(files)


TARGET = Target(
    kind=TargetKind.NGINX,
    render=render,
    trusted_files=(CA,),
    crl_file=CRL,
    revocations=frozenset({Revocation.CHAIN, Revocation.NONE}),
)
