"""The connection function for CloudFront, run by Node.js over a store that says what it is told: who gets in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pkiops.environment.models import Revocation, TargetKind
from tests.live.relying_party import find_program, run
from tests.live.site import Site

pytestmark = pytest.mark.live
TRIAL = """
const [text, keys] = [require('fs').readFileSync(process.argv[2], 'utf8'), JSON.parse(process.argv[3])];
const cf = { kvs: () => ({ exists: async (key) => { if (keys === null) throw new Error('no store'); return keys.includes(key); } }) };
const body = text.replace("import cf from 'cloudfront';", '');
const handler = new Function('cf', 'console', `${body}; return connectionHandler;`)(cf, { log: () => {} });
const asked = JSON.parse(process.argv[4]).map((clientCertInfo) =>
  handler({ clientCertInfo, allow: () => true, deny: () => false }));
Promise.all(asked).then((answers) => process.stdout.write(JSON.stringify(answers)));
"""


def test_who_is_in_the_store_stays_out_however_the_number_is_spelled(tmp_path: Path) -> None:
    node = find_program("node")
    site = Site(tmp_path, TargetKind.CLOUDFRONT, revocation=Revocation.LEAF)
    folder = site.render()
    keys = [one["key"] for one in json.loads((folder / "revoked-serials.json").read_bytes())["data"]]
    revoked, good = site.issued["revoked"].serial, site.issued["good"].serial
    assert f"{revoked:X}" in keys
    spelled = [
        f"{revoked:X}",
        f"{revoked:x}",
        f"00{revoked:X}",
        ":".join(f"{revoked:032X}"[n : n + 2] for n in range(0, 32, 2)),
    ]
    clients = [{"serialNumber": one} for one in (*spelled, f"{good:X}", "", "0")] + [{}]
    (tmp_path / "trial.cjs").write_text(TRIAL)

    def ask(store: list[str] | None) -> list[bool]:
        arguments = [str(folder / "connection-function.js"), json.dumps(store), json.dumps(clients)]
        answers: list[bool] = json.loads(run([node, "trial.cjs", *arguments], tmp_path))
        return answers

    assert ask(keys) == [False] * 4 + [True, False, False, False]
    assert ask(None) == [False] * 8, "a store that cannot be asked lets nobody in"
