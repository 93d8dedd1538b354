"""The same request twice within five minutes is one request."""

from __future__ import annotations

from tests.unit.sandbox.world import World, csr


def authorities(world: World) -> int:
    return len(world.call("ListCertificateAuthorities")["CertificateAuthorities"])


def test_a_token_names_one_authority_for_five_minutes() -> None:
    world = World()
    first = world.create(IdempotencyToken="t")
    world.advance(seconds=299)
    assert world.create(IdempotencyToken="t") == first
    assert world.create(IdempotencyToken="u") != first
    world.advance(seconds=1)
    assert world.create(IdempotencyToken="t") != first
    assert authorities(world) == 3


def test_the_window_counts_from_the_first_call() -> None:
    world = World()
    first = world.create(IdempotencyToken="t")
    world.advance(minutes=4)
    assert world.create(IdempotencyToken="t") == first
    world.advance(minutes=1)
    assert world.create(IdempotencyToken="t") != first


def test_a_token_wins_over_other_inputs() -> None:
    world = World()
    first = world.create(common_name="A", IdempotencyToken="t")
    assert world.create(common_name="B", IdempotencyToken="t") == first


def test_without_a_token_the_configuration_is_the_token() -> None:
    world = World()
    first = world.create(common_name="A")
    assert world.create(common_name="A") == first
    assert world.create(common_name="B") != first
    world.advance(minutes=5)
    assert world.create(common_name="A") != first


def test_a_refused_call_leaves_no_token() -> None:
    world = World()
    world.refused(
        "InvalidArgsException",
        "CreateCertificateAuthority",
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "RSA_2048",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "A"},
        },
        CertificateAuthorityType="ROOT",
        IdempotencyToken="t",
    )
    assert world.status(world.create(IdempotencyToken="t")) == "PENDING_CERTIFICATE"


def test_certificates_have_tokens_of_their_own() -> None:
    world = World()
    first_root, second_root = world.root("A"), world.root("B")
    request = csr()
    first = world.issue(first_root, request, IdempotencyToken="t")
    assert world.issue(first_root, request, IdempotencyToken="t") == first
    assert world.issue(second_root, request, IdempotencyToken="t").startswith(second_root)
    assert world.issue(first_root, request) != world.issue(first_root, request)
    world.advance(minutes=5)
    assert world.issue(first_root, request, IdempotencyToken="t") != first


def test_a_token_wins_over_changed_inputs_until_its_window_ends() -> None:
    """Undocumented for this service; ACM behaves so."""
    world = World()
    first = world.create("ROOT", "A", IdempotencyToken="t")
    world.advance(minutes=4, seconds=59)
    assert world.create("SUBORDINATE", "B", IdempotencyToken="t") == first
    assert authorities(world) == 1
    world.advance(seconds=2)
    other = world.create("SUBORDINATE", "B", IdempotencyToken="t")
    assert other != first
    assert world.describe(other)["Type"] == "SUBORDINATE"


def test_the_same_for_certificates() -> None:
    world = World()
    arn = world.root()
    request = csr()
    token = {"IdempotencyToken": "t"}
    first = world.issue(arn, request, **token)
    world.advance(minutes=4, seconds=59)
    assert world.issue(arn, request, **token) == first
    assert world.issue(arn, csr("svc-b"), Validity={"Type": "DAYS", "Value": 2}, **token) == first
    world.advance(seconds=2)
    assert world.issue(arn, request, **token) not in {first, world.issue(arn, request)}


def test_asking_again_does_not_prolong_the_window() -> None:
    world = World()
    first = world.create(IdempotencyToken="t")
    for _ in range(2):
        world.advance(minutes=2)
        assert world.create(IdempotencyToken="t") == first
    world.advance(minutes=1, seconds=1)
    assert world.create(IdempotencyToken="t") != first


def test_a_token_belongs_to_one_authority() -> None:
    world = World()
    one, two = world.root("One"), world.root("Two")
    token = {"IdempotencyToken": "t"}
    assert world.issue(one, csr(), **token).startswith(one)
    assert world.issue(two, csr(), **token).startswith(two)


def test_without_a_token_every_certificate_is_another() -> None:
    world = World()
    arn = world.root()
    request = csr()
    assert world.issue(arn, request) != world.issue(arn, request)
