"""``pkiops cert bulk``: many rows, good and bad, on the sandbox."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from pkiops.cert.bulk_results import RowResult, RowStatus
from pkiops.cli.app import app
from pkiops.cli.cert_bulk_report import report_file
from pkiops.errors import InputError
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances
from tests import builders
from tests.sandbox_server import RunningSandbox, running_sandbox

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
NAME = "{}.svc.dev.example.com"


class Shop:
    """pkiops in a folder of its own."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        (folder / "out").mkdir()

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings |= {"PKIOPS_SANDBOX_URL": self.sandbox.url}
        command = ["--environments", str(ENVIRONMENTS), *arguments]
        return CliRunner().invoke(app, command, input=stdin, env=settings, prog_name="pkiops")

    def bulk(self, manifest: str, *more: str, stdin: bytes = b"") -> Result:
        where = ("--output-dir", "out", "--profile", "service", "--report", "report.jsonl", "--issue-rate", "500")
        return self.run("cert", "bulk", "dev", "--manifest", manifest, *where, *more, stdin=stdin)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def requests(self, *names: str, folder: str = "csr") -> None:
        (self.folder / folder).mkdir(exist_ok=True)
        for name in names:
            host = NAME.format(name)
            request = builders.csr({"common_name": host}, sans=(f"dns:{host}",))
            (self.folder / folder / f"{name}.csr").write_bytes(request)

    def report(self) -> dict[str, dict[str, Any]]:
        """The rows of the report by their source."""
        lines = (self.folder / "report.jsonl").read_text().splitlines()
        return {row["source"]: row for row in map(json.loads, lines)}

    def outputs(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "out").iterdir())

    def calls(self, operation: str) -> int:
        assert self.sandbox.server is not None
        return self.sandbox.server.sandbox.traffic.served.get(("acm-pca", operation), 0)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(pace=Pace(certificate_polls=0)) as running:
        here = Path.cwd()
        os.chdir(tmp_path_factory.mktemp("apply"))
        applied = CliRunner().invoke(
            app,
            ["--environments", str(ENVIRONMENTS), "ca", "apply", "dev", "--yes"],
            env={"PKIOPS_SANDBOX_URL": running.url},
        )
        os.chdir(here)
        assert applied.exit_code == 0, applied.output
        yield running


@pytest.fixture
def shop(tmp_path: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    sandbox.hinder(Hindrances())
    return Shop(tmp_path, sandbox)


def common_name(path: Path) -> str:
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


class TestManifests:
    def test_csv(self, shop: Shop) -> None:
        shop.requests("a", "b", "c")
        shop.write(
            "hosts.csv",
            "csr,output,validity,sans,request_id\n"
            "csr/a.csr,,,,\n"
            f'csr/b.csr,other,12d,"dns:{NAME.format("b")} dns:{NAME.format("b2")}",\n'
            "\n"
            "csr/c.csr,,,,second\n",
        )
        result = shop.bulk("hosts.csv")
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith("3 issued; ")
        assert shop.outputs() == ["a.pem", "c.pem", "other.pem"]
        other = x509.load_pem_x509_certificates((shop.folder / "out" / "other.pem").read_bytes())[0]
        assert (other.not_valid_after_utc - other.not_valid_before_utc).days == 12
        names = other.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert sorted(names.get_values_for_type(x509.DNSName)) == [NAME.format("b"), NAME.format("b2")]
        assert {source: row["status"] for source, row in shop.report().items()} == {
            "hosts.csv:2": "issued",
            "hosts.csv:3": "issued",
            "hosts.csv:5": "issued",
        }

    def test_json_lines_on_stdin_and_several_formats(self, shop: Shop) -> None:
        shop.requests("a")
        row = {"csr": "csr/a.csr", "profile": "service", "sans": [f"dns:{NAME.format('a')}"], "output": None}
        formats = ("--output-format", "certificate", "--output-format", "json")
        result = shop.bulk("-", *formats, "--format", "json", stdin=json.dumps(row).encode() + b"\n")
        assert result.exit_code == 0, result.output
        body = json.loads(result.stdout)
        assert (body["kind"], body["counts"]["issued"], body["problems"]) == ("cert-bulk", 1, [])
        assert shop.outputs() == ["a.cert.pem", "a.json"]
        document = json.loads((shop.folder / "out" / "a.json").read_text())
        assert document["serial"] == shop.report()["stdin:1"]["serial"]

    def test_a_folder(self, shop: Shop) -> None:
        shop.requests("a", "b", folder="inbox")
        shop.write("inbox/notes.txt", "not a request")
        result = shop.bulk("inbox")
        assert result.exit_code == 0, result.output
        assert {name: common_name(shop.folder / "out" / name) for name in shop.outputs()} == {
            "a.pem": NAME.format("a"),
            "b.pem": NAME.format("b"),
        }

    def test_a_folder_with_names_that_are_no_text_and_a_very_long_one(self, shop: Shop) -> None:
        longest = "x" * 200
        shop.requests("a", folder="inbox")
        request = (shop.folder / "inbox" / "a.csr").read_bytes()
        (shop.folder / "inbox" / f"{longest}.csr").write_bytes(request)
        Path(os.fsdecode(os.fsencode(shop.folder / "inbox") + b"/\xff.csr")).write_bytes(request)
        result = shop.bulk("inbox")
        assert result.exit_code == 7, result.output
        assert shop.outputs() == ["a.pem", f"{longest}.pem"]
        assert sorted(row["status"] for row in shop.report().values()) == ["invalid", "issued", "issued"]

    def test_again_gives_the_same_without_a_call(self, shop: Shop) -> None:
        shop.requests("a", "b")
        assert shop.bulk("csr").exit_code == 0
        before, asked = (shop.folder / "out" / "a.pem").read_bytes(), shop.calls("IssueCertificate")
        (shop.folder / "out" / "b.pem").unlink()
        again = shop.bulk("csr")
        assert again.exit_code == 0, again.output
        assert again.stdout.startswith("2 kept; 0 calls")
        assert shop.calls("IssueCertificate") == asked
        assert (shop.folder / "out" / "a.pem").read_bytes() == before
        assert shop.outputs() == ["a.pem", "b.pem"]

    def test_what_cert_issue_made_is_kept(self, shop: Shop) -> None:
        shop.requests("a")
        shop.run("cert", "issue", "dev", "--profile", "service", "--csr", "csr/a.csr", "--output", "out/a.pem")
        assert shop.bulk("csr").stdout.startswith("1 kept")

    def test_two_rows_never_write_one_file(self, shop: Shop) -> None:
        shop.requests("a", "b", "c")
        shop.write("rows.csv", "csr,output\ncsr/a.csr,a\ncsr/b.csr,a.cert\ncsr/c.csr,A\n")
        formats = ("--output-format", "fullchain", "--output-format", "certificate")
        assert shop.bulk("rows.csv", *formats).exit_code == 7
        assert shop.outputs() == ["a.cert.pem", "a.pem"]
        assert common_name(shop.folder / "out" / "a.cert.pem") == NAME.format("a")
        assert [row.get("code") for row in shop.report().values()].count("manifest.output-twice") == 2

    def test_the_same_row_twice_is_one_certificate(self, shop: Shop) -> None:
        shop.requests("a")
        asked = shop.calls("IssueCertificate")
        shop.write("twice.csv", "csr,output\ncsr/a.csr,one\ncsr/a.csr,two\n")
        assert shop.bulk("twice.csv").exit_code == 0
        assert shop.calls("IssueCertificate") - asked <= 2
        assert len({row["serial"] for row in shop.report().values()}) == 1


class TestBadRows:
    def test_each_is_named_and_stops_no_other(self, shop: Shop) -> None:
        shop.requests("good", "foreign")
        shop.write("csr/broken.csr", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
        evil = builders.csr({"common_name": "evil.example.org"}, sans=("dns:evil.example.org",))
        (shop.folder / "csr" / "evil.csr").write_bytes(evil)
        (shop.folder / "secret.csr").write_bytes(evil)
        (shop.folder / "csr" / "link.csr").symlink_to("/etc/hostname")
        os.mkfifo(shop.folder / "csr" / "pipe.csr")
        shop.write("out/foreign.pem", "mine")
        shop.write(
            "csr/rows.csv",
            "\n".join(
                [
                    "csr,profile,output,sans,validity",
                    "none.csr,service,,,",
                    "broken.csr,service,,,",
                    "evil.csr,service,,,",
                    "good.csr,nobody,,,",
                    "../secret.csr,service,,,",
                    "/etc/hostname,service,,,",
                    "link.csr,service,,,",
                    "good.csr,service,../up,,",
                    "good.csr,service,.hidden,,",
                    'good.csr,"service,,,',
                    "good.csr,service",
                    "good.csr,service,,orders,",
                    "good.csr,service,,,soon",
                    "good.csr,service,,,2y",
                    "foreign.csr,service,,,",
                    f"good.csr,service,{'x' * 70_000},,",
                    "pipe.csr,service,,,",
                    "good.csr,service,last,,",
                ]
            ),
        )
        result = shop.bulk("csr/rows.csv")
        assert result.exit_code == 7, result.output
        assert shop.outputs() == ["foreign.pem", "last.pem"]
        assert (shop.folder / "out" / "foreign.pem").read_text() == "mine"
        assert (shop.folder / "up.pem").exists() is False
        rows = shop.report()
        found = {int(source.rpartition(":")[2]): (row["status"], row.get("code")) for source, row in rows.items()}
        assert found == {
            2: ("invalid", "usage.input-file"),
            3: ("invalid", "csr.malformed"),
            4: ("refused", "policy.denied"),
            5: ("invalid", "cert.unknown-profile"),
            6: ("invalid", "manifest.path"),
            7: ("invalid", "manifest.path"),
            8: ("invalid", "manifest.path"),
            9: ("invalid", "manifest.output"),
            10: ("invalid", "manifest.output"),
            11: ("invalid", "manifest.csv"),
            12: ("invalid", "manifest.csv"),
            13: ("invalid", found[13][1]),
            14: ("invalid", "manifest.validity"),
            15: ("refused", "policy.validity-too-long"),
            16: ("refused", "guard.overwrite"),
            17: ("invalid", "manifest.too-long"),
            18: ("invalid", "usage.input-file"),
            19: ("issued", None),
        }
        for line in range(2, 19):
            assert f"csr/rows.csv:{line}: " in result.stderr
        assert "Traceback" not in result.output

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            (b"[1]", "manifest.csv"),
            (b'{"csr": 1}', "manifest.json"),
            (b'{"csr": "a.csr", "key": "a.key"}', "manifest.json"),
            (b'{"csr"', "manifest.json"),
            (b"{" * 60_000, "manifest.json"),
            (b'{"csr": "a.csr\\u0000"}', "manifest.path"),
            (b'{"csr": "\xff"}', "manifest.encoding"),
            (b'{"profile": "service"}', "manifest.missing"),
            (b'{"csr": "csr/a.csr", "output": "\\ud800"}', "manifest.encoding"),
            (b'{"csr": "' + b"x" * 300 + b'", "output": "b"}', "usage.input-file"),
        ],
    )
    def test_json(self, shop: Shop, line: bytes, code: str) -> None:
        shop.requests("a")
        first = b'{"csr": "csr/a.csr"}\n' if line != b"[1]" else b"csr,profile\ncsr/a.csr,service\n"
        result = shop.bulk("-", stdin=first + line + b"\n")
        assert result.exit_code == 7, result.output
        assert sorted(row.get("code", "") for row in shop.report().values()) == ["", code]

    @pytest.mark.parametrize("text", ["csr,key\na.csr,b\n", "profile\nservice\n", "csr,csr\na,b\n", "\x00"])
    def test_columns_that_are_none(self, shop: Shop, text: str) -> None:
        result = shop.bulk("-", stdin=text.encode())
        assert result.exit_code == 2, result.output

    @pytest.mark.parametrize(
        "extra",
        [
            ("--manifest", "none.csv"),
            ("--output-dir", "none"),
            ("--output-dir", "csr"),
            ("--output-format", "pkcs12"),
            ("--output-format", "der", "--output-format", "der"),
            ("--validity", "soon"),
            ("--issue-rate", "0"),
            ("--report", "none/report.jsonl"),
        ],
    )
    def test_wrong_options(self, shop: Shop, extra: tuple[str, ...]) -> None:
        shop.requests("a")
        assert shop.bulk("csr", *extra).exit_code == 2
        assert shop.outputs() == []

    @pytest.mark.parametrize(
        ("name", "code"), [("rows.csv", 2), ("./csr/../rows.csv", 2), ("csr", 2), ("out/x.pem", 2), ("mine.txt", 9)]
    )
    def test_a_report_replaces_nothing_of_others(self, shop: Shop, name: str, code: int) -> None:
        shop.requests("a")
        shop.write("rows.csv", "csr\ncsr/a.csr\n")
        shop.write("mine.txt", "mine")
        asked = shop.calls("IssueCertificate")
        assert shop.bulk("rows.csv", "--report", name).exit_code == code
        if code == 2:
            assert shop.bulk("rows.csv", "--report", name, "--overwrite").exit_code == code
        assert shop.calls("IssueCertificate") == asked
        assert (shop.folder / "rows.csv").read_text() == "csr\ncsr/a.csr\n"
        assert (shop.folder / "mine.txt").read_text() == "mine"

    def test_a_report_replaces_an_earlier_one_and_what_it_is_told_to(self, shop: Shop) -> None:
        shop.requests("a")
        for earlier in ("", None):  # a run without rows, and the one that this makes
            if earlier is not None:
                shop.write("report.jsonl", earlier)
            assert shop.bulk("csr").exit_code == 0
            assert len(shop.report()) == 1
        shop.write("report.jsonl", "[1]\n")
        assert shop.bulk("csr").exit_code == 9
        assert shop.bulk("csr", "--overwrite").exit_code == 0
        assert len(shop.report()) == 1

    def test_nothing_to_do(self, shop: Shop) -> None:
        empty = shop.bulk("-", stdin=b"")
        assert (empty.exit_code, empty.stdout.startswith("no rows")) == (2, True)
        assert "the manifest has no rows" in empty.stderr

    def test_a_file_that_is_not_ours_stays_and_the_ledger_knows_that_it_was_in_the_way(self, shop: Shop) -> None:
        shop.requests("taken")
        (shop.folder / "out" / "taken.pem").write_text("somebody's")
        assert shop.bulk("csr").exit_code == 7
        assert (shop.folder / "out" / "taken.pem").read_text() == "somebody's"
        listed = shop.run("cert", "list", "dev", "--name", NAME.format("taken"), "--format", "json")
        (entry,) = json.loads(listed.stdout)["entries"]
        assert (entry["state"], entry["code"]) == ("refused", "guard.overwrite")

    def test_what_every_row_would_fail_by_is_said_once(self, shop: Shop) -> None:
        shop.requests("h1", "h2")
        for words, said in (
            (("--profile", "servce"), "has no profile 'servce'"),
            (("--profile", ""), "has no profile"),
        ):
            result = shop.bulk("csr", *words)
            assert (result.exit_code, result.stdout) == (2, ""), result.output
            assert result.stderr.count(said) == 1


def test_a_report_that_cannot_take_its_place_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"

    def run() -> None:
        with report_file(path) as report:
            report(RowResult(row=1, source="rows:1", status=RowStatus.FAILED))
            path.mkdir()

    with pytest.raises(InputError, match=r"cannot write .*report.jsonl") as caught:
        run()
    [kept] = tmp_path.glob(".report.jsonl.*")
    assert str(kept) in str(caught.value.hint)
    assert json.loads(kept.read_text())["source"] == "rows:1"


def test_what_goes_wrong_in_a_run_is_not_swallowed_by_its_report(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), report_file(tmp_path / "report.jsonl"):
        (tmp_path / "none").read_bytes()
    assert list(tmp_path.iterdir()) == []


class TestTrouble:
    def test_lost_answers_and_throttles_lead_to_one_certificate_each(self, shop: Shop) -> None:
        shop.requests(*(f"h{number}" for number in range(12)))
        faults = [
            *(f"IssueCertificate:{k}:after:drop" for k in (1, 4)),
            *(f"IssueCertificate:{k}:before:ThrottlingException" for k in (2, 3, 7)),
            "IssueCertificate:9:before:InternalFailure",
            *(f"GetCertificate:{k}:before:ThrottlingException" for k in (1, 2)),
            "GetCertificate:3:before:drop",
        ]
        shop.sandbox.hinder(Hindrances(faults=tuple(map(fault, faults))))
        result = shop.bulk("csr")
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith("12 issued")
        assert len({row["serial"] for row in shop.report().values()}) == 12

    def test_gives_up_where_every_call_is_refused(self, shop: Shop) -> None:
        shop.requests(*(f"h{number}" for number in range(60)))
        faults = [f"IssueCertificate:{k}:before:AccessDeniedException" for k in range(1, 60)]
        shop.sandbox.hinder(Hindrances(faults=tuple(map(fault, faults))))
        result = shop.bulk("csr", "--issue-rate", "20")
        assert result.exit_code == 6, result.output
        assert "AccessDenied" in result.stderr
        assert shop.calls("IssueCertificate") < 50
        shop.sandbox.hinder(Hindrances())
        assert shop.bulk("csr").exit_code == 0
        assert len(shop.outputs()) == 60


class TestInterrupted:
    def _soon(self, shop: Shop, times: int) -> threading.Thread:
        """Sends Ctrl-C once a few were asked for."""

        def send() -> None:
            already = shop.calls("IssueCertificate")
            while shop.calls("IssueCertificate") < already + 5:
                time.sleep(0.01)
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    def test_once_finishes_what_was_asked_for_and_goes_on_the_next_time(self, shop: Shop) -> None:
        shop.requests(*(f"h{number}" for number in range(100)))
        thread = self._soon(shop, 1)
        result = shop.bulk("csr", "--issue-rate", "20")
        thread.join()
        assert result.exit_code == 130, result.output
        statuses = [row["status"] for row in shop.report().values()]
        # what was read but not asked for is said; rows that nobody had read yet are not
        assert set(statuses) <= {"issued", "not-tried"}
        assert 100 > len(shop.outputs()) == statuses.count("issued") >= 5
        again = shop.bulk("csr")
        assert again.exit_code == 0, again.output
        assert again.stdout.startswith(f"{100 - statuses.count('issued')} issued, {statuses.count('issued')} kept")

    def test_once_does_not_wait_for_a_manifest_that_never_ends(self, shop: Shop) -> None:
        names = [f"h{number}" for number in range(8)]
        shop.requests(*names)
        os.mkfifo(shop.folder / "pipe")

        def feed() -> None:
            with (shop.folder / "pipe").open("w") as pipe:
                pipe.write("csr\n" + "".join(f"csr/{name}.csr\n" for name in names))
                pipe.flush()
                assert ended.wait(20), "the run waits for more"

        ended = threading.Event()
        writer = threading.Thread(target=feed)
        writer.start()
        thread = self._soon(shop, 1)
        result = shop.bulk("pipe")
        ended.set()
        thread.join()
        writer.join()
        assert result.exit_code == 130, result.output
        assert {row["status"] for row in shop.report().values()} <= {"issued", "not-tried"}
        assert len(shop.outputs()) >= 5

    def test_twice_leaves_it_and_the_next_run_fetches_it(self, shop: Shop) -> None:
        shop.requests(*(f"h{number}" for number in range(30)))
        drops = [f"GetCertificate:{k}:before:ThrottlingException" for k in range(1, 1000)]
        shop.sandbox.hinder(Hindrances(faults=tuple(map(fault, drops))))
        thread = self._soon(shop, 2)
        result = shop.bulk("csr", "--issue-rate", "20")
        thread.join()
        assert result.exit_code == 130, result.output
        assert "abandoned" in result.stderr
        asked = shop.calls("IssueCertificate")
        shop.sandbox.hinder(Hindrances())
        assert shop.bulk("csr").exit_code == 0
        assert asked + shop.calls("IssueCertificate") <= 30 + 24
