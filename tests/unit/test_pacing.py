"""Pacing and repeats, with real botocore clients that never leave this process and a clock that moves only when somebody waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.session import Session

from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import Throttled
from pkiops.pacing import CREATE_PATIENCE_S, ISSUE_PATIENCE_S, PATIENCE_S, RATES, TRANSIENT_REPEATS, Lane, Pacing

ARN = "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/11111111-2222-3333-4444-555555555555"
OK: tuple[int, dict[str, Any]] = (200, {})
THROTTLED = (400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
LOST = ConnectTimeoutError(endpoint_url="https://acm-pca")
Answer = tuple[int, dict[str, Any]] | Exception


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, message: str) -> None:
        self.lines.append(message)


class Body(BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class World:
    """A client of ``service`` whose requests are answered by a list of answers, the last one for ever."""

    def __init__(self, answers: Iterable[Answer], service: str = "acm-pca", **limits: Any) -> None:
        self.clock = ManualClock(datetime(2026, 11, 25, tzinfo=UTC))
        self.told = Told()
        self.sent: list[tuple[float, bytes]] = []
        self._answers = list(answers)
        session = Session()
        session.set_credentials("testing", "testing")
        config = Config(retries={"mode": "standard", "total_max_attempts": 1})
        self.client: Any = session.create_client(service, region_name="eu-west-1", config=config)
        self.pacing = Pacing(self.clock, SeededRandomness(7), self.told)
        self.pacing.attach(self.client, service, **limits)
        events: Any = self.client.meta.events
        events.register("before-send", self._answer)

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        self.sent.append((self.clock.monotonic(), bytes(request.body or b"")))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return AWSResponse(request.url, status, HTTPHeaders(), Body(json.dumps(body).encode() if body else b""))

    @property
    def tokens(self) -> set[str]:
        return {json.loads(body).get("IdempotencyToken", "") for _, body in self.sent}

    def list_tags(self) -> None:
        self.client.list_tags(CertificateAuthorityArn=ARN)

    def create(self) -> None:
        configuration = {
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "x"},
        }
        self.client.create_certificate_authority(
            CertificateAuthorityConfiguration=configuration, CertificateAuthorityType="ROOT", IdempotencyToken="t" * 36
        )

    def issue(self) -> None:
        self.client.issue_certificate(
            CertificateAuthorityArn=ARN,
            Csr=b"x",
            SigningAlgorithm="SHA256WITHECDSA",
            Validity={"Type": "DAYS", "Value": 1},
            IdempotencyToken="i" * 36,
        )


def code_of(call: Callable[[], None]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_a_second_s_worth_goes_at_once_and_the_rest_at_the_rate() -> None:
    world = World([OK])
    for _ in range(100):
        world.list_tags()
    rate = RATES["acm-pca"]["ListTags"]
    moments = [at for at, _ in world.sent]
    assert moments[: int(rate)] == [0.0] * int(rate)
    assert moments[-1] == pytest.approx((100 - rate) / rate)


def test_a_handful_of_what_is_allowed_once_a_second_goes_at_once() -> None:
    world = World([OK])
    for _ in range(12):
        world.create()
    assert [round(at) for at, _ in world.sent] == [0] * 10 + [1, 2]


def test_an_operation_without_a_known_rate_is_not_held() -> None:
    world = World([OK], service="resourcegroupstaggingapi")
    for _ in range(500):
        world.client.get_resources()
    assert world.clock.monotonic() == 0


def test_places_in_a_lane_are_given_out_one_by_one() -> None:
    clock = ManualClock(datetime(2026, 11, 25, tzinfo=UTC))
    lane = Lane(20, clock)
    waits = [lane.take() for _ in range(24)]  # as 24 threads at one moment
    assert waits == [0.0] * 20 + [pytest.approx(n / 20) for n in (1, 2, 3, 4)]
    clock.sleep(10)
    assert lane.take() == 0


def test_a_throttled_lane_has_no_burst_is_slower_for_a_while_and_recovers() -> None:
    clock = ManualClock(datetime(2026, 11, 25, tzinfo=UTC))
    lane = Lane(10, clock)
    lane.throttled()
    lane.throttled()  # another thread, of the same moment
    assert lane.take() == pytest.approx(1 / 8.5)
    for _ in range(20):
        clock.sleep(1)
        lane.throttled()
    assert lane.take() == pytest.approx(1 / 2.5)
    clock.sleep(120)
    for _ in range(10):
        lane.take()
    assert lane.take() == pytest.approx(1 / 10)


@pytest.mark.parametrize("code", ["ThrottlingException", "Throttling", "TooManyRequestsException"])
def test_a_throttled_creation_goes_again_with_its_token_and_nothing_else(code: str) -> None:
    world = World([(400, {"__type": code})] * 6 + [OK])
    world.create()
    assert len(world.sent) == 7
    assert len({body for _, body in world.sent}) == 1
    assert world.tokens == {"t" * 36}


def test_a_creation_is_not_sent_again_when_the_service_may_have_forgotten_its_token() -> None:
    world = World([THROTTLED])
    assert code_of(world.create) == "ThrottlingException"
    assert CREATE_PATIENCE_S - 10 < world.sent[-1][0] <= CREATE_PATIENCE_S


def test_reads_are_repeated_for_ten_minutes_and_the_waiting_is_told() -> None:
    world = World([THROTTLED])
    assert code_of(world.list_tags) == "ThrottlingException"
    assert PATIENCE_S - 10 < world.sent[-1][0] <= PATIENCE_S
    assert world.told.lines[0] == "AWS is throttling ListTags: waiting (for 0 s so far)"
    assert 60 < len(world.told.lines) <= PATIENCE_S / 5


@pytest.mark.parametrize("answers", [[THROTTLED], [LOST, THROTTLED], [(500, {}), THROTTLED]])
def test_an_issuance_begun_before_its_token_is_four_minutes_old_is_over_before_five(answers: list[Answer]) -> None:
    world = World(answers)
    world.clock.sleep(239)  # the token is as old as the clock
    assert code_of(world.issue) == "ThrottlingException"
    assert 260 < world.sent[-1][0] <= 239 + ISSUE_PATIENCE_S
    assert 240 + ISSUE_PATIENCE_S + 5 < 290  # connecting, and what cert resolve counts on
    assert world.tokens == {"i" * 36}


def test_an_issuance_whose_turn_comes_too_late_is_not_sent() -> None:
    world = World([OK])
    for _ in range(25 + 25 * int(ISSUE_PATIENCE_S)):
        world.pacing._lanes["acm-pca", "IssueCertificate"].take()
    with pytest.raises(Throttled) as caught:
        world.issue()
    assert not world.sent
    assert caught.value.retryable
    assert "again" in str(caught.value.hint)


def test_an_issuance_whose_credentials_come_too_late_is_not_sent() -> None:
    world = World([OK])
    events: Any = world.client.meta.events
    events.register("before-sign.acm-pca", lambda **_: world.clock.sleep(ISSUE_PATIENCE_S + 1))
    with pytest.raises(Throttled):
        world.issue()
    assert not world.sent


@pytest.mark.parametrize("answer", [LOST, (500, {"__type": "InternalFailure"}), (503, {})])
def test_what_got_no_answer_is_repeated_a_few_times(answer: Answer) -> None:
    world = World([answer] * TRANSIENT_REPEATS + [OK])
    world.create()
    assert world.tokens == {"t" * 36}
    assert world.told.lines == []
    failing = World([answer])
    with pytest.raises((ClientError, ConnectTimeoutError)):
        failing.create()
    assert len(failing.sent) == 1 + TRANSIENT_REPEATS
    assert failing.clock.monotonic() < 3


@pytest.mark.parametrize("code", ["LimitExceededException", "RequestInProgressException", "AccessDeniedException"])
def test_no_other_refusal_is_repeated(code: str) -> None:
    world = World([(400, {"__type": code})])
    assert code_of(world.create) == code
    assert len(world.sent) == 1


def test_a_service_that_another_way_stands_in_for_is_not_waited_for() -> None:
    world = World([(400, {"__type": "ThrottledException"})], "resourcegroupstaggingapi", patience=20.0, repeats=1)
    assert code_of(world.client.get_resources) == "ThrottledException"
    assert world.clock.monotonic() <= 20
    lost = World([LOST], "resourcegroupstaggingapi", patience=20.0, repeats=1)
    with pytest.raises(ConnectTimeoutError):
        lost.client.get_resources()
    assert len(lost.sent) == 2


def test_a_busy_s3_is_waited_for_too() -> None:
    world = World([(503, {})] * 12 + [OK], "s3")
    world.client.head_bucket(Bucket="example")
    assert len(world.sent) == 13
    assert world.told.lines[0].startswith("AWS is throttling HeadBucket")
