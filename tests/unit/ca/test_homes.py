"""Where authorities live, in plans: shown when it is elsewhere, never changed by moving."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkiops.ca.claims import inputs_digest
from pkiops.ca.drift import immutable_changes
from pkiops.ca.holdings import crl_holdings
from pkiops.ca.homes import left_behind
from pkiops.ca.observe import Observed
from pkiops.ca.plan import plan
from pkiops.ca.show import as_json, render_tree, shown_authorities
from pkiops.environment.index import AuthorityIndex, IndexedAuthority
from pkiops.environment.models import AuthorityHome, Environment, Persona
from pkiops.homes import Home
from pkiops.plan import Action, ActionKind
from tests.unit.ca.worlds import NOW, Prices, authority_as, desired, dev, nothing, observed

ROLE = "arn:aws:iam::444455556666:role/pki-clients"
HERE = Home("123456789012", "eu-west-1")
THERE = Home("444455556666", "eu-central-1")
OLD = "arn:aws:acm-pca:eu-central-1:444455556666:certificate-authority/01234567-89ab-cdef-0123-456789abcdef"


def spread(environment: Environment | None = None) -> Environment:
    """The sample with ``clients`` in another account and region."""
    file = environment or dev()
    home = AuthorityHome(region=THERE.region, account=THERE.account, role_arn=ROLE)
    clients = replace(file.authorities["clients"], backend=home)
    return replace(file, authorities={**file.authorities, "clients": clients})


WANT = desired(spread())
ROOT, CLIENTS = WANT.authorities


def of_clients(world: Observed, environment: Environment | None = None) -> list[Action]:
    made = plan(desired(environment or spread()), world, Prices(), NOW)
    return [action for action in made.actions if action.address == "dev/ca/clients"]


def test_what_will_be_made_elsewhere_says_where() -> None:
    create, activate = of_clients(nothing(WANT))
    assert create.changes[0].field == "home"
    assert create.changes[0].after == str(THERE)
    assert activate.reason.endswith(f"signed by root ({THERE})")
    (root, *_) = [one for one in plan(WANT, nothing(WANT), Prices(), NOW).actions if one.address == "dev/ca/root"]
    assert "home" not in {change.field for change in root.changes}


def there(**changes: object) -> Observed:
    found = observed(WANT)
    clients = replace(authority_as(CLIENTS), reference=OLD, **changes)  # type: ignore[arg-type]
    return replace(found, authorities=(found.authorities[0], clients))


def test_what_is_elsewhere_as_declared_is_left_alone() -> None:
    (alone,) = of_clients(there())
    assert alone.kind is ActionKind.NO_OP
    assert alone.reason.endswith(f"({THERE})")


def test_a_ca_in_another_home_than_declared_needs_a_new_generation() -> None:
    (blocked,) = of_clients(there(), dev())
    assert blocked.kind is ActionKind.BLOCKED
    assert "needs a new generation (generation: 2" in blocked.reason
    assert [(c.field, c.before, c.after) for c in blocked.changes] == [("home", str(THERE), str(HERE))]
    assert immutable_changes(CLIENTS, replace(authority_as(CLIENTS), reference="of a backend without homes")) == ()


def an_index(generation: int) -> AuthorityIndex:
    entry = IndexedAuthority(label="clients", generation=generation, reference=OLD, chain=(b"x",))
    gone = replace(entry, label="removed")
    return AuthorityIndex(
        environment="dev", account=HERE.account, region=HERE.region, digest="", authorities=(entry, gone)
    )


def test_a_home_that_the_file_names_no_more_is_remembered_by_the_index() -> None:
    elsewhere = left_behind(dev(), an_index(1))
    assert elsewhere == {("clients", 1): OLD}
    assert left_behind(spread(), an_index(1)) == {}
    assert left_behind(dev(), None) == {}
    odd = replace(an_index(1).authorities[0], reference=f"{OLD}\x1b[2J")
    assert left_behind(dev(), replace(an_index(1), authorities=(odd,))) == {}
    (blocked,) = of_clients(replace(nothing(WANT), elsewhere=elsewhere), dev())
    assert blocked.kind is ActionKind.BLOCKED
    assert OLD in blocked.reason
    assert "needs a new generation" in blocked.reason


def test_an_older_generation_is_not_left_out_of_sight() -> None:
    file = dev()
    second = replace(
        file, authorities={**file.authorities, "clients": replace(file.authorities["clients"], generation=2)}
    )
    elsewhere = left_behind(second, an_index(1))
    (blocked,) = of_clients(replace(nothing(WANT), elsewhere=elsewhere), second)
    assert blocked.kind is ActionKind.BLOCKED
    assert "former_homes" in blocked.reason
    named = replace(
        second,
        backend=replace(
            second.backend,
            former_homes=(AuthorityHome(region=THERE.region, account=THERE.account, role_arn=ROLE),),
        ),
    )
    assert left_behind(named, an_index(1)) == {}


def test_inputs_are_others_in_another_home() -> None:
    same = {"account": "x"}
    assert inputs_digest(same, CLIENTS) != inputs_digest(same, desired(dev()).authorities[1])


def test_the_tree_says_where_what_is_elsewhere_lives() -> None:
    world = there()
    tree = render_tree("dev", shown_authorities(WANT, world.authorities, {}), NOW)
    assert tree.count(f"in {THERE}") == 1
    assert "NOT WHERE" not in tree
    shown = shown_authorities(desired(dev()), world.authorities, {})
    assert f"in {THERE}  NOT WHERE THE FILE SAYS: {HERE}" in render_tree("dev", shown, NOW)
    assert [(one["account"], one["region"]) for one in as_json(shown)] == [
        (HERE.account, HERE.region),
        (THERE.account, THERE.region),
    ]
    missing = render_tree("dev", shown_authorities(WANT, (), {}), NOW)
    assert f"pkiops ca apply dev (in {THERE})" in missing


@pytest.mark.parametrize("several", [False, True])
def test_the_keeper_elsewhere_may_write_into_a_held_crl_bucket(several: bool) -> None:
    roles = {
        persona: f"arn:aws:iam::123456789012:role/{persona.value}" for persona in (Persona.PROVISIONER, Persona.REVOKER)
    }
    file = replace(dev(), access=roles)
    (held,) = crl_holdings(spread(file) if several else file)
    assert held.principals == (*roles.values(), *((ROLE,) if several else ()))
