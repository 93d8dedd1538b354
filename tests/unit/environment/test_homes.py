"""Where the authorities of a file live: what is said, what follows, and what cannot be."""

from __future__ import annotations

import pytest

from pkiops.environment.homes import home_of, homes_of, is_at_home
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
    assert homes_of(read(changed(CLIENTS, CLIENTS))) == {DEFAULT: None}
    elsewhere = read(at(THERE))
    assert home_of(elsewhere, "clients") == OTHER
    assert home_of(elsewhere, "root") == DEFAULT
    assert list(homes_of(elsewhere).items()) == [(DEFAULT, None), (OTHER, ROLE)]
    assert home_of(read(at("{region: us-east-1}")), "clients") == Home("111122223333", "us-east-1")


def test_the_role_of_backend_is_that_of_its_account_in_every_region_and_of_no_other_account() -> None:
    role = "arn:aws:iam::111122223333:role/provisioner"
    with_role = (BACKEND, f"{BACKEND}  role_arn: {role}\n")
    same = homes_of(read(at("{region: us-east-1}", with_role)))
    assert set(same.values()) == {role}
    assert homes_of(read(at(THERE, with_role)))[OTHER] == ROLE


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
