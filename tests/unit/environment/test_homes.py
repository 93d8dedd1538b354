"""Where the authorities of a file live: what is said, what follows, and what cannot be."""

from __future__ import annotations

import pytest

from pkiops.environment.homes import Roles, home_of, homes_of, is_at_home, persona_of
from pkiops.environment.models import Persona
from pkiops.errors import EnvironmentFileError
from pkiops.homes import Home
from tests.unit.environment.samples import changed, read

CLIENTS = "    issuer: root\n"
BACKEND = "  endpoint_urls: {}\n"
DEFAULT = Home("111122223333", "eu-west-1")
ROLE = "arn:aws:iam::444455556666:role/pki-clients"
THERE = f"{{region: eu-central-1, account: '444455556666', role_arn: '{ROLE}'}}"
OTHER = Home("444455556666", "eu-central-1")


def at(backend: str, *more: tuple[str, str]) -> str:
    text = changed(CLIENTS, f"{CLIENTS}    backend: {backend}\n")
    for old, new in more:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def problems(text: str) -> list[tuple[str, str, str, int]]:
    with pytest.raises(EnvironmentFileError) as caught:
        read(text)
    return [(one.code, one.key_path, one.message, one.line) for one in caught.value.problems]


def test_an_authority_is_where_backend_says_but_for_what_its_own_says() -> None:
    assert homes_of(read(changed(CLIENTS, CLIENTS))) == {DEFAULT: Roles(None)}
    elsewhere = read(at(THERE))
    assert home_of(elsewhere, "clients") == OTHER
    assert home_of(elsewhere, "root") == DEFAULT
    assert list(homes_of(elsewhere).items()) == [(DEFAULT, Roles(None)), (OTHER, Roles(ROLE))]
    assert home_of(read(at("{region: us-east-1}")), "clients") == Home("111122223333", "us-east-1")


def test_the_role_of_backend_is_that_of_its_account_in_every_region_and_of_no_other_account() -> None:
    role = "arn:aws:iam::111122223333:role/provisioner"
    with_role = (BACKEND, f"{BACKEND}  role_arn: {role}\n")
    same = homes_of(read(at("{region: us-east-1}", with_role)))
    assert {roles.general for roles in same.values()} == {role}
    assert homes_of(read(at(THERE, with_role)))[OTHER] == Roles(ROLE)


def test_older_generations_may_be_in_former_homes_and_the_current_one_may_not() -> None:
    text = at(
        "{region: us-east-1}",
        (BACKEND, f"{BACKEND}  former_homes: [{THERE}]\n"),
        ("    backend:", "    generation: 2\n    backend:"),
    )
    environment = read(text)
    assert OTHER in homes_of(environment)

    def arn(account: str, region: str) -> str:
        return f"arn:aws:acm-pca:{region}:{account}:certificate-authority/x"

    assert is_at_home(environment, "clients", 2, arn("111122223333", "us-east-1"))
    assert not is_at_home(environment, "clients", 2, arn("444455556666", "eu-central-1"))
    assert is_at_home(environment, "clients", 1, arn("444455556666", "eu-central-1"))
    assert not is_at_home(environment, "clients", 1, arn("999988887777", "eu-central-1"))
    assert is_at_home(environment, "clients", 2, "not an ARN: a backend that has no homes")


WRONG = [
    ("{account: '444455556666'}", "role_arn", "env.account", "add role_arn"),
    ("{role_arn: 'arn:aws:iam::444455556666:role/x'}", "role_arn", "env.account", "another account"),
    ("{region: us-east-1, role_arn: 'arn:aws-cn:iam::111122223333:role/x'}", "role_arn", "env.partition", "arn:aws:"),
    ("{region: cn-north-1}", "region", "env.region", "partition"),
    ("{region: us-gov-west-1}", "region", "env.region", "partition"),
    ("{role_arn: 'arn:aws:iam::111122223333:role/other'}", "role_arn", "env.role", "another role at backend"),
]


@pytest.mark.parametrize(("backend", "path", "code", "says"), WRONG)
def test_each_rule(backend: str, path: str, code: str, says: str) -> None:
    ((found, where, message, line),) = problems(at(backend))
    assert (found, where) == (code, f"authorities.clients.backend.{path}")
    assert says in message
    assert line == at(backend).split("\n").index(f"    backend: {backend}") + 1


def test_one_home_is_reached_by_one_role() -> None:
    text = at(THERE, ("  root:\n", f"  root:\n    backend: {THERE.replace('pki-clients', 'pki-root')}\n"))
    ((code, path, message, _),) = problems(text)
    assert (code, path) == ("env.role", "authorities.clients.backend.role_arn")
    assert "another role at authorities.root.backend" in message


def test_no_home_writes_into_a_bucket_of_a_region_that_is_off_by_default() -> None:
    text = at("{region: eu-west-1}", ("region: eu-west-1\n", "region: eu-south-1\n"))
    ((code, path, message, _),) = problems(text)
    assert (code, path) == ("env.region", "authorities.clients.backend.region")
    assert "cannot write CRLs into a bucket of eu-south-1" in message
    read(at("{region: eu-south-1}"))


def test_a_role_of_backend_is_of_its_partition() -> None:
    text = changed(BACKEND, f"{BACKEND}  role_arn: arn:aws-us-gov:iam::111122223333:role/x\n")
    ((code, path, message, _),) = problems(text)
    assert (code, path) == ("env.partition", "backend.role_arn")
    assert "arn:aws:" in message


def test_a_pinned_arn_is_of_the_authority_s_own_home_and_partition() -> None:
    arn = "arn:aws:acm-pca:eu-central-1:444455556666:certificate-authority/12345678-1234-1234-1234-123456789012"
    read(at(f"{THERE}\n    arn: {arn}"))
    ((code, path, message, _),) = problems(at(f"{THERE}\n    arn: {arn.replace('eu-central-1', 'eu-west-1')}"))
    assert (code, path) == ("env.arn", "authorities.clients.arn")
    assert "account 444455556666 and region eu-central-1" in message
    ((code, path, message, _),) = problems(at(f"{THERE}\n    arn: {arn.replace('arn:aws:', 'arn:aws-cn:')}"))
    assert (code, path) == ("env.partition", "authorities.clients.arn")


def test_an_endpoint_of_one_region_does_not_serve_another() -> None:
    own = "  endpoint_urls: {acm-pca: 'https://vpce-1.acm-pca.eu-west-1.vpce.amazonaws.com'}\n"
    ((code, path, message, _),) = problems(at("{region: us-east-1}", (BACKEND, own)))
    assert (code, path) == ("env.endpoint", "backend.endpoint_urls.acm-pca")
    assert "us-east-1" in message
    read(at(THERE.replace("eu-central-1", "eu-west-1"), (BACKEND, own)))
    read(at(THERE, (BACKEND, "  endpoint_urls: {acm-pca: 'http://127.0.0.1:4599'}\n")))


def test_a_former_home_that_is_a_home_anyway_is_said() -> None:
    ((code, path, message, _),) = problems(changed(BACKEND, f"{BACKEND}  former_homes: [{{region: eu-west-1}}]\n"))
    assert (code, path) == ("env.home", "backend.former_homes[0]")
    assert "looked for already" in message


ISSUER_THERE = "arn:aws:iam::444455556666:role/pki-issuer"
ACCESS = ("ledger:", "access: {issuer: 'arn:aws:iam::111122223333:role/path/issuer'}\nledger:")


def with_access(access: str, home: str = THERE) -> str:
    return home.replace("}", f", access: {access}}}")


def test_a_persona_may_have_a_role_of_its_own_elsewhere() -> None:
    environment = read(at(with_access(f"{{issuer: '{ISSUER_THERE}'}}"), ACCESS))
    roles = homes_of(environment)[OTHER]
    assert (roles.of(Persona.ISSUER), roles.of(Persona.PROVISIONER), roles.of(None)) == (ISSUER_THERE, ROLE, ROLE)
    assert roles.keepers == (ROLE,)
    assert homes_of(environment)[DEFAULT].keepers == ()


@pytest.mark.parametrize(
    ("caller", "persona"),
    [
        ("arn:aws:sts::111122223333:assumed-role/issuer/somebody", Persona.ISSUER),
        ("arn:aws:sts::444455556666:assumed-role/issuer/somebody", None),
        ("arn:aws:sts::111122223333:assumed-role/other/issuer", None),
        ("arn:aws:iam::111122223333:user/issuer", None),
        ("arn:aws:iam::111122223333:root", None),
        ("", None),
    ],
)
def test_who_is_which_persona(caller: str, persona: Persona | None) -> None:
    environment = read(at(with_access(f"{{issuer: '{ISSUER_THERE}'}}"), ACCESS))
    assert persona_of(environment, caller) is persona


@pytest.mark.parametrize(
    ("access", "home", "path", "code", "says"),
    [
        (f"{{revoker: '{ISSUER_THERE}'}}", THERE, "access.revoker", "env.access", "file's own access"),
        (f"{{relying-party: '{ISSUER_THERE}'}}", THERE, "access.relying-party", "env.access", "asks no CA"),
        ("{issuer: 'arn:aws:iam::999988887777:role/x'}", THERE, "access.issuer", "env.account", "another account"),
        ("{issuer: 'arn:aws-cn:iam::444455556666:role/x'}", THERE, "access.issuer", "env.partition", "arn:aws:"),
        ("{issuer: 'arn:aws:iam::111122223333:role/x'}", "{region: us-east-1}", "access", "env.access", "own role"),
    ],
)
def test_each_rule_of_access(access: str, home: str, path: str, code: str, says: str) -> None:
    ((found, where, message, _),) = problems(at(with_access(access, home), ACCESS))
    assert (found, where) == (code, f"authorities.clients.backend.{path}")
    assert says in message


def test_one_home_has_one_set_of_roles() -> None:
    given = with_access(f"{{issuer: '{ISSUER_THERE}'}}")
    text = at(given, ("  root:\n", f"  root:\n    backend: {THERE}\n"), ACCESS)
    ((code, path, message, _),) = problems(text)
    assert (code, path) == ("env.role", "authorities.clients.backend.access")
    assert "authorities.root.backend" in message
