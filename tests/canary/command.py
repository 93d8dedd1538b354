"""``make canary``: checks, plan, question, run, cleaning, results.

What this module decides: the order of it (nothing is asked of AWS before it has said which account this is, nothing is made before the plan
was agreed to), that cleaning follows whatever happened, and the exit code: 0 done, 2 usage, 6 something is left or AWS does not answer, 7
not every case was run, 9 refused, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from pkiops.clock import Clock, Randomness, ServerClock
from tests.canary.arguments import RESULTS, Wanted, parse
from tests.canary.bill import PRICES, SHORT_LIVED, Bill
from tests.canary.buckets import Place
from tests.canary.cleaning import Cleaner, Found
from tests.canary.connection import Clients, charge, connect, follow
from tests.canary.journal import Journal, Made, read_journals
from tests.canary.patience import Patience
from tests.canary.results import DIFFERS, NOT_RUN, Result, document, not_run, table, write
from tests.canary.runner import estimate, run
from tests.canary.workspace import Workspace

DONE, BACKEND, PARTLY, REFUSED, INTERRUPTED = 0, 6, 7, 9, 130


class Refused(Exception):
    """It is not done, to protect whoever asked for it."""


def tell(line: str) -> None:
    """A line for whoever watches."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Command:
    """One call of the command.

    Args:
        wanted: its arguments.
        clock: the machine's time, and waiting.
        randomness: of names and tokens.
        agree: asks a question of yes or no.
        session: whose credentials.
    """

    wanted: Wanted
    clock: Clock
    randomness: Randomness
    agree: Callable[[str], bool]
    session: boto3.Session

    def carry_out(self) -> int:
        """Do it; the exit code.

        Raises:
            Refused: it is not done.
            ClientError: AWS refuses what is needed before anything is made.
            BotoCoreError: AWS does not answer, or there are no credentials.
        """
        clients = connect(self.session, self.wanted.region)
        place = self._place(clients)
        return self._clean(clients) if self.wanted.clean else self._run(clients, place)

    def _place(self, clients: Clients) -> Place:
        answer = clients.sts.get_caller_identity()
        if answer["Account"] != self.wanted.account:
            raise Refused(f"these credentials are of another account than {self.wanted.account}")
        return Place(self.wanted.account, self.wanted.region, str(answer["Arn"]).split(":")[1])

    def _confirm(self, question: str) -> None:
        if not self.wanted.yes and not self.agree(question):
            raise Refused("nothing was done")

    # a run

    def _run(self, clients: Clients, place: Place) -> int:
        wanted = self.wanted
        if wanted.output == RESULTS and not clients.are_of_aws:
            raise Refused("the endpoints are not AWS's: say --output FILE, docs/canary.json is for what AWS answers")
        self._plan(clients)
        run_id = f"{self.clock.now():%Y%m%d%H%M%S}-{self.randomness.token_bytes(4).hex()}"
        clock, bill, journal = ServerClock(self.clock), Bill(wanted.limit), Journal(wanted.journals, run_id)
        follow(clients, clock)
        charge(clients, bill, clock)
        journal.begin(run_id, place.account, place.region)
        workspace = Workspace(clients, place, run_id, clock=clock, randomness=self.randomness, journal=journal)
        results: list[Result] = []
        code = INTERRUPTED
        try:
            for result in run(wanted.cases, workspace, tell):
                results.append(result)  # noqa: PERF402 - what is known must not be lost when it is interrupted
            code = PARTLY if any(result.outcome == NOT_RUN for result in results) else DONE
        except KeyboardInterrupt:
            tell("interrupted: cleaning up, which takes a minute")
        finally:
            bill.lift()
            cleaned = self._clean_up(clients, Patience(clock), journal)
        self._report(results, clock)
        tell(f"at most {bill.usd(clock.now()):.2f} USD")
        return code if cleaned else BACKEND

    def _plan(self, clients: Clients) -> None:
        wanted, most = self.wanted, estimate(self.wanted.cases)
        usd = most.usd()
        tell(
            f"{len(wanted.cases)} cases in account {wanted.account}, {wanted.region}, at {clients.pca.meta.endpoint_url}"
        )
        tell(
            f"  at most {most.authorities} CAs in short-lived mode for {most.hours:.1f} hours, and {most.certificates} certificates"
        )
        tell(f"  at most {usd:.2f} USD, of {wanted.limit:.2f} allowed (prices as of {PRICES.checked}; {PRICES.note})")
        tell(
            f"  a CA that is not deleted costs {PRICES.authority_month[SHORT_LIVED]:.0f} USD a month: --clean removes what a dead run left"
        )
        if usd > wanted.limit:
            raise Refused(f"it could cost {usd:.2f} USD, more than the limit of {wanted.limit:.2f}")
        self._confirm("Go on?")

    def _report(self, results: list[Result], clock: Clock) -> None:
        wanted = self.wanted
        asked = {result.case.name for result in results}
        results += [not_run(case, "interrupted") for case in wanted.cases if case.name not in asked]
        for line in table(results):
            print(line)
        if wanted.output is None:
            tell("only some of the cases were run: nothing is written (--output FILE writes them)")
            return
        if all(result.outcome == NOT_RUN for result in results):
            tell("no case was run: nothing is written")
            return
        write(document(results, wanted.region, clock.now().date()), wanted.output)
        tell(f"written to {wanted.output}")
        if wanted.output == RESULTS:
            differs = sum(result.outcome == DIFFERS for result in results)
            tell(f"please open a pull request with docs/canary.json ({differs} differences), then run make docs")

    # cleaning

    def _clean_up(self, clients: Clients, patience: Patience, journal: Journal) -> bool:
        """Whether nothing of the run is left."""
        made = journal.read()
        assert made is not None, "a run begins its journal"
        cleaner = Cleaner(clients, patience, tell)
        found = cleaner.find([made], made.run)
        left = [*cleaner.remove(found), *found.doubts]
        for line in left:
            tell(line)
        if left:
            tell(
                f"NOT CLEAN: run make canary CLEAN=1 ACCOUNT={made.account} REGION={made.region} until nothing is left"
            )
            return False
        journal.forget()
        return True

    def _clean(self, clients: Clients) -> int:
        """Everything of every run: of the account in this Region, and of journals in theirs."""
        journals = list(read_journals(self.wanted.journals))
        for _, made in journals:
            if made.account != self.wanted.account:
                tell(f"the run {made.run} is of another account: {made.account}")
        ours = [(journal, made) for journal, made in journals if made.account == self.wanted.account]
        regions = dict.fromkeys([self.wanted.region, *(made.region for _, made in ours)])
        is_clean = True
        for region in regions:
            there = clients if region == self.wanted.region else connect(self.session, region)
            cleaner = Cleaner(there, Patience(self.clock), tell)
            mine = [(journal, made) for journal, made in ours if made.region == region]
            is_clean &= self._clean_region(cleaner, region, mine)
        return DONE if is_clean else BACKEND

    def _clean_region(self, cleaner: Cleaner, region: str, journals: Sequence[tuple[Journal, Made]]) -> bool:
        found = cleaner.find([made for _, made in journals])
        self._agree_to_clean(found, region)
        left = [*cleaner.remove(found), *found.doubts]
        for line in left:
            tell(line)
        if not left:
            for journal, _ in journals:
                journal.forget()
        return not left

    def _agree_to_clean(self, found: Found, region: str) -> None:
        if not found.authorities and not found.buckets:
            tell(f"nothing is left in {region}")
            return
        for what, owner in [*found.authorities.items(), *found.buckets.items()]:
            tell(f"  {what} of the run {owner}")
        self._confirm("Delete all of it? A run that goes on elsewhere in this account loses its CA too.")


def main(
    argv: Sequence[str],
    clock: Clock,
    randomness: Randomness,
    agree: Callable[[str], bool],
    session: Callable[[], boto3.Session] = boto3.Session,
) -> int:
    """Carry out a command line; the exit code.

    Raises:
        SystemExit: the arguments are wrong.
    """
    try:
        return Command(parse(argv), clock, randomness, agree, session()).carry_out()
    except Refused as error:
        tell(f"refused: {error}")
        return REFUSED
    except (ClientError, BotoCoreError) as error:
        tell(f"error: {error}")
        return BACKEND
    except KeyboardInterrupt:
        tell("interrupted: make canary CLEAN=1 removes what may be left")
        return INTERRUPTED
