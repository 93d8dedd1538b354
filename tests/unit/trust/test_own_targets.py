"""A target of the user's own: a folder with a description and templates, and everything about it that is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.environment.models import Bundle, Revocation, Target, Trust
from pkiops.errors import InputError
from pkiops.trust.pem_file import read_ca_file
from pkiops.trust.render import Choice, Destination, RenderOutcome, chosen_targets, render_trust
from pkiops.trust.targets.description import read_description
from pkiops.trust.targets.rendering import VALUES
from pkiops.trust.verify import Expected, verify_folder
from tests.fakes.authority import environment
from tests.unit.crl.world import World

DESCRIPTION = """
title: the old gateway
revocations: [chain, none]
depth: authorities
limits: {certificates: 3}
files:
  ca.pem: authorities
  crl.pem: crls
  gateway.conf: gateway.conf.j2
  crl.conf: crl.conf.j2
  each/: each-crl
with_crls: [crl.conf]
check: ["gateway --check gateway.conf"]
notes: ["It has to be restarted."]
"""
TEMPLATE = """# {{ environment }}/{{ bundle }}
trust "{{ location }}/ca.pem" depth {{ depth }}
{% for one in certificates %}
expect {{ one.sha256 }}
{% endfor %}
"""


class Own:
    """A world with a bundle for a target of the user's own."""

    def __init__(self, folder: Path, revocation: Revocation = Revocation.CHAIN) -> None:
        bundle = Bundle(anchors=("root",), targets={"gateway": Target(folder="old-gateway")}, revocation=revocation)
        env = replace(environment(), trust=Trust(bundles={"services": bundle}))
        self.world = World(folder, env=env)
        self.environments = folder / "environments"
        self.folder = self.environments / "targets" / "old-gateway"
        self.folder.mkdir(parents=True)
        self.to = folder / "out"
        self.write("target.yaml", DESCRIPTION)
        self.write("gateway.conf.j2", TEMPLATE)
        self.write("crl.conf.j2", "{% for crl in crls %}{{ crl.number }} {% endfor %}\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def render(self) -> RenderOutcome:
        self.world.publish()
        destination = Destination(folder=self.to, location="/etc/gateway")
        choice = Choice(environments=self.environments)
        at = self.world.clock.now()
        return render_trust(self.world.environment, self.world.backend, self.world.store, destination, choice, at=at)

    def refused(self) -> InputError:
        with pytest.raises(InputError) as caught:
            self.render()
        return caught.value


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own(tmp_path)


def test_a_folder_is_a_target(own: Own) -> None:
    (done,) = own.render().targets
    assert sorted(done.files) == [
        "MANIFEST.json", "VERIFY.md", "ca.pem", "crl.conf", "crl.pem", "each/clients-g1.crl", "each/clients-g1.crl.pem",
        "each/root-g1.crl", "each/root-g1.crl.pem", "gateway.conf",
    ]  # fmt: skip
    text = (done.path / "gateway.conf").read_text()
    assert text.startswith('# test/services\ntrust "/etc/gateway/services/gateway/ca.pem" depth 2\nexpect ')
    assert (done.path / "crl.conf").read_text() == "1 1 "
    assert len(read_ca_file((done.path / "ca.pem").read_bytes(), "ca.pem")) == 1
    verify = (done.path / "VERIFY.md").read_text()
    assert "for the old gateway" in verify
    assert "       gateway --check gateway.conf\n" in verify
    assert "- It has to be restarted.\n" in verify
    assert [one.change for one in own.render().targets] == ["unchanged"]


def test_it_is_verified_like_any_other(own: Own) -> None:
    (done,) = own.render().targets
    ((_, _, target),) = chosen_targets(own.world.environment, Choice(environments=own.environments))
    expected = Expected(
        environment=own.world.environment,
        authorities=own.world.known(),
        bundle="services",
        target_name="gateway",
        target=target,
        at=own.world.clock.now(),
    )
    assert verify_folder(done.path, expected).findings == ()
    (done.path / "gateway.conf").write_text("trust everybody")
    assert {one.code for one in verify_folder(done.path, expected).findings} == {"trust.file-changed"}


def test_without_crls_there_is_no_file_about_them(tmp_path: Path) -> None:
    own = Own(tmp_path, Revocation.NONE)
    (done,) = own.render().targets
    assert not [name for name in done.files if "crl" in name]


def test_a_missing_folder_or_template_is_said_so(own: Own) -> None:
    (own.folder / "gateway.conf.j2").unlink()
    assert "gateway.conf.j2" in own.refused().message
    (own.folder / "target.yaml").unlink()
    assert own.refused().code == "trust.own-target"
    with pytest.raises(InputError):
        list(chosen_targets(own.world.environment, Choice()))


@pytest.mark.parametrize("name", ["target.yaml", "gateway.conf.j2"])
def test_links_and_pipes_are_not_read(own: Own, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("title: secret\n")
    path = own.folder / name
    path.unlink()
    path.symlink_to(secret)
    assert "secret" not in own.refused().message.replace(str(tmp_path), "")
    path.unlink()
    os.mkfifo(path)
    assert own.refused().exit_code == 2


def test_the_folder_is_below_the_environment_files(own: Own, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    own.folder.rename(elsewhere)
    own.folder.symlink_to(elsewhere)
    assert "leads out of" in own.refused().message


def test_a_template_cannot_reach_anything(own: Own) -> None:
    own.write("gateway.conf.j2", "{% include '/etc/passwd' %}")
    assert own.refused().code == "trust.template"
    own.write("gateway.conf.j2", "{{ location.__class__ }}")
    assert own.refused().code == "trust.template"
    assert not own.to.exists()


def test_every_value_that_is_promised_is_given(own: Own) -> None:
    for name in sorted(VALUES):
        text = "{{ depth }}" if name == "depth" else f"{{{{ {name} | length }}}}"
        own.write("gateway.conf.j2", text)
        assert own.render().targets, name
    own.write("gateway.conf.j2", "{% for one in anchors %}{{ one.name }}{{ loop.first }}{{ on }}{% endfor %}")
    assert own.refused().message == "old-gateway/gateway.conf.j2: there is no value on"


def test_its_limits_bind(own: Own) -> None:
    own.write("target.yaml", DESCRIPTION.replace("certificates: 3", "crls: 1"))
    with pytest.raises(Exception, match="2 CRLs, but it takes 1"):
        own.render()


WRONG = [
    ("title: the old gateway", "", "title"),
    ("title: the old gateway", "title: [1]", "title"),
    ("revocations: [chain, none]", "revocations: []", "revocations"),
    ("revocations: [chain, none]", "revocations: [ocsp]", "ocsp"),
    ("revocations: [chain, none]", "revocations: [none]", "checks none"),
    ("depth: authorities", "depth: 3", "3"),
    ("ca.pem: authorities", "ca.pem: everything", "everything"),
    ("ca.pem: authorities", "ca.pem: intermediates", "first"),
    ("ca.pem: authorities", "ca.pem: gateway.conf.j2", "first"),
    ("crl.pem: crls", "crl.pem: gateway.conf.j2", "crls"),
    ("crl.pem: crls", "../crl.pem: crls", "path"),
    ("crl.pem: crls", "/crl.pem: crls", "path"),
    ("crl.pem: crls", "a/../../crl.pem: crls", "path"),
    ("crl.pem: crls", ".hidden: crls", "path"),
    ("crl.pem: crls", "MANIFEST.json: crls", "path"),
    ("crl.pem: crls", "crl.pem/: crls", "ends in /"),
    ("each/: each-crl", "each: each-crl", "ends in /"),
    ("gateway.conf.j2", "../gateway.conf.j2", "neither"),
    ("gateway.conf.j2", "/etc/passwd.j2", "neither"),
    ("gateway.conf: gateway.conf.j2", "gateway.conf: 3", "word"),
    ("{certificates: 3}", "{certificates: 0}", "limits"),
    ("{certificates: 3}", "{certificates: true}", "limits"),
    ("{certificates: 3}", "{people: 3}", "limits"),
    ("with_crls: [crl.conf]", "with_crls: [other]", "with_crls"),
    ("with_crls: [crl.conf]", "run: [sh]", "run"),
    ("title: the old gateway", "title: &a x\nnotes: [*a]", "anchor"),
    ("title: the old gateway", "title: !!python/object/apply:os.system [id]", "tag"),
]


@pytest.mark.parametrize(("old", "new", "says"), WRONG)
def test_a_wrong_description_is_refused(old: str, new: str, says: str) -> None:
    assert old in DESCRIPTION
    with pytest.raises(InputError, match=says):
        read_description(DESCRIPTION.replace(old, new).encode(), "target.yaml")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b"a: b: c", b"x" * 2_000_000], ids=["empty", "list", "bytes", "yaml", "large"]
)
def test_no_description_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_description(data, "target.yaml")
