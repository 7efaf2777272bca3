"""What the eIM is told of a server it chose: not what listens there, nor how it can be told from silence.

An eIM that may name any address would else use the device as its eye: the reason of a failed download would tell it
which hosts and ports behind the device exist, and what their first words are.
"""

from __future__ import annotations

import logging

import pytest

from ipad_agent.errors import IpadError
from ipad_agent.net import AddressForbidden, HandshakeFailed, Refusal, TransferTimeout, TrustRefused, Unreachable
from ipad_agent.procedures.records.download_cuts import MAX_UNANSWERED
from ipad_agent.procedures.rsp.rsp_servers import of_smdp
from ipad_agent.smdp.errors import AnswerUnreadable, ServerStatus

from .downloads import bench, response_of
from .test_download import run

BANNER, INSIDE, ERRNO = "SSH-2.0-dropbear_2022.83", "10.20.30.40", "Connection refused"

FAILURES = [
    Unreachable(f"no connection to {INSIDE}: {ERRNO}"),
    Unreachable(f"no TLS session with smdp at {INSIDE} within 30 s"),
    HandshakeFailed("no TLS session: what listens there does not speak TLS"),
    TransferTimeout(f"no answer from {INSIDE}"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_however_a_server_is_not_reached_the_eim_hears_the_same(
    failure: IpadError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    made, server = bench(direct=True)
    server.failures["initiate"] = failure
    for _ in range(MAX_UNANSWERED if "initiate" in server.failures else 20):
        await run(made)
    assert response_of(made.link.results[0]) is None
    assert failure.message in " ".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("function", ["authenticate", "package"])
async def test_nor_does_it_hear_more_of_a_server_that_is_lost_in_the_middle(function: str) -> None:
    made, server = bench(direct=True)
    server.failures[function] = FAILURES[0]
    for _ in range(MAX_UNANSWERED if "initiate" in server.failures else 20):
        await run(made)
    assert response_of(made.link.results[0]) is None


@pytest.mark.parametrize(
    "failure",
    [
        AddressForbidden(f"smdp is not connected to: {INSIDE} leads to a private network"),
        TrustRefused(f"the certificate names printer.{INSIDE}", reason=Refusal.WRONG_NAME),
        ServerStatus("InitiateAuthentication", "404", f"Welcome to {BANNER}", BANNER.encode()),
        AnswerUnreadable("InitiateAuthentication", f"no HTTP: {BANNER}", BANNER.encode()),
    ],
    ids=["forbidden", "untrusted", "page", "no-http"],
)
async def test_the_words_of_whatever_listens_there_stay_in_the_log(
    failure: IpadError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    made, server = bench(direct=True)
    server.failures["initiate"] = failure
    for _ in range(MAX_UNANSWERED if "initiate" in server.failures else 20):
        await run(made)
    assert response_of(made.link.results[0]) is None
    for word in (BANNER, INSIDE, ERRNO):
        assert word.encode() not in b"".join(made.link.results)
    assert failure.message in " ".join(record.getMessage() for record in caplog.records)


def test_a_way_that_is_forbidden_is_not_tried_again() -> None:
    assert not of_smdp(AddressForbidden("x")).retry
    assert of_smdp(Unreachable("x")).retry
