"""A recording played back: which answer a question gets, and what is told about questions that were not recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.lab.errors import BenchError
from ipad_agent.lab.modem.virtual_module import Send
from ipad_agent.lab.replay.recorded_session import EsipaExchange, ModemExchange, load
from ipad_agent.lab.replay.replayed_eim import ReplayedEim
from ipad_agent.lab.replay.replayed_modem import MOST_DELAY_S, ReplayedModem
from ipad_agent.recording.recording_format import Record, header, lines_of

LIST, ENABLE, GET = "80E2910003BF2D00", "80E2910004BF310100", "80C0000010"
"""ES10 functions that read and that change, and what fetches an answer."""


def said(*exchanges: tuple[str, str]) -> ReplayedModem:
    """A modem that was heard to say these."""
    return ReplayedModem(
        [
            ModemExchange(sent.encode() + b"\r", [(0.01, f"\r\n{text}\r\n".encode()) for text in received.split("|")])
            for sent, received in exchanges
        ]
    )


class Host:
    def __init__(self, modem: ReplayedModem) -> None:
        self.modem, self.now_s = modem, 0.0

    def ask(self, command: str) -> str:
        self.now_s += 100
        outputs = self.modem.feed(command.encode() + b"\r", self.now_s)
        outputs += self.modem.advance(self.now_s + 50)
        data = b"".join(output.data for output in outputs if isinstance(output, Send))
        return data.decode().replace("\r\n\r\n", "|").strip("\r\n")


def apdu(command: str) -> str:
    return f'AT+CGLA=1,{len(command)},"{command}"'


def test_the_same_question_gets_its_answers_in_their_order_and_the_last_one_again() -> None:
    host = Host(said(("AT+CSQ", "+CSQ: 1,99|OK"), ("AT+CSQ", "+CSQ: 2,99|OK")))
    assert [host.ask("AT+CSQ") for _ in range(4)] == ["+CSQ: 1,99|OK", *["+CSQ: 2,99|OK"] * 3]
    assert host.modem.not_recorded == []


def test_polls_may_come_in_another_order() -> None:
    host = Host(said(("AT+CSQ", "a|OK"), ("AT+CEREG?", "b|OK"), ("AT+COPS?", "c|OK")))
    assert [host.ask(text) for text in ("AT+COPS?", "AT+CEREG?", "AT+CSQ")] == ["c|OK", "b|OK", "a|OK"]


def test_after_an_order_the_card_says_what_it_said_after_it() -> None:
    """Also when the agent asked less often before it than the one that was recorded."""
    host = Host(said((apdu(LIST), "1"), (apdu(LIST), "2"), (apdu(ENABLE), "done"), (apdu(LIST), "3")))
    assert host.ask(apdu(LIST)) == "1"
    assert host.ask(apdu(ENABLE)) == "done"
    assert host.ask(apdu(LIST)) == "3"
    assert host.ask(apdu(LIST)) == "3"


def test_what_fetches_an_answer_goes_on_from_its_command() -> None:
    other = "80E2910003BF2200"
    host = Host(said((apdu(LIST), "61"), (apdu(GET), "list"), (apdu(other), "61"), (apdu(GET), "info")))
    assert [host.ask(apdu(text)) for text in (other, GET, LIST, GET)] == ["61", "info", "61", "list"]


def test_letters_of_an_apdu_may_be_small() -> None:
    assert Host(said((apdu(LIST), "1"))).ask(apdu(LIST.lower())) == "1"


def test_what_was_not_recorded_is_an_error_and_told() -> None:
    host = Host(said(("AT+CSQ", "a|OK")))
    assert host.ask("AT+UNHEARD=1") == "ERROR"
    assert host.ask("ATE0") == "OK"
    assert host.modem.not_recorded == ["AT+UNHEARD=1", "ATE0"]


def test_a_modem_that_said_nothing_says_nothing_again() -> None:
    modem = ReplayedModem([ModemExchange(b"AT+CFUN=1\r")])
    assert Host(modem).ask("AT+CFUN=1") == ""
    assert modem.next_due_s is None


def test_answers_come_as_late_as_they_did_but_no_later_than_a_few_seconds() -> None:
    modem = ReplayedModem([ModemExchange(b"AT\r", [(0.5, b"one"), (99.0, b"two")])])
    assert modem.feed(b"A", 10) == []
    assert modem.feed(b"T\r", 10) == []
    assert modem.next_due_s == 10.5
    assert modem.advance(10.5) == [Send(b"one")]
    assert modem.advance(10 + MOST_DELAY_S) == [Send(b"two")]


NO_WORK = bytes.fromhex("BF4F03020101")
POLL, OTHER_POLL, RESULT = b"\xbf\x4f\x01", b"\xbf\x4f\x02", b"\xbf\x50\x01"
ORDER = bytes.fromhex("BF4F10") + bytes(16)


def eim() -> ReplayedEim:
    return ReplayedEim(
        [
            EsipaExchange("GetEimPackage", POLL, ORDER, "2.04"),
            EsipaExchange("ProvideEimPackageResult", RESULT, b"\xbf\x50\x00", "2.04"),
            EsipaExchange("GetEimPackage", POLL, NO_WORK, "2.04"),
            EsipaExchange("GetEimPackage", POLL, None, ""),
        ]
    )


def test_the_eim_gives_its_answers_byte_for_byte_and_an_order_once() -> None:
    played = eim()
    assert [played.exchange(body).body for body in (POLL, RESULT, POLL, POLL)] == [
        ORDER,
        b"\xbf\x50\x00",
        NO_WORK,
        NO_WORK,
    ]
    assert (played.left, played.differing, played.not_recorded) == (0, [], [])


def test_another_request_of_the_same_function_gets_the_answer_and_is_told() -> None:
    played = eim()
    assert played.exchange(OTHER_POLL).body == ORDER
    assert played.differing == ["GetEimPackage: BF4F02"]


def test_what_the_eim_was_never_asked_is_refused_and_told() -> None:
    played = eim()
    assert played.exchange(b"\xbf\x3d\x00").code == "5.03"
    assert played.not_recorded == ["BF3D00"]


def test_a_refusal_is_one_again() -> None:
    played = ReplayedEim([EsipaExchange("GetEimPackage", POLL, b"", "4.04")])
    assert played.exchange(POLL).code == "4.04"


def test_the_recorder_s_file_is_read_by_the_lab_s_own_reader(tmp_path: Path) -> None:
    """Two readers of one format: neither can be wrong alone."""
    facts = {"function": "GetEimPackage", "path": "/x"}
    records = [
        Record(1000.0, "at", "received", b"RDY\r\n"),
        Record(1001.0, "at", "sent", b"AT\r"),
        Record(1001.5, "at", "received", b"\xff\r\n"),
        Record(1001.6, "esipa", "sent", POLL, facts=facts),
        Record(1001.7, "at", "received", b"OK\r\n"),
        Record(1001.8, "esipa", "received", NO_WORK, facts={**facts, "status": "2.04"}),
        Record(1001.9, "esipa", "sent", POLL, facts=facts),
        Record(1002.0, "esipa", "received", b"", facts={**facts, "problem": "silence"}),
        Record(1002.0, "apdu", "sent", b"\x00"),
    ]
    file = tmp_path / "report.jsonl"
    file.write_bytes(b"".join(lines_of(records, version="1", redacted=True)) + b'{"t":9,"kind":"a')
    session = load(file)
    assert [exchange.sent for exchange in session.modem] == [b"", b"AT\r"]
    assert [data for _, data in session.modem[1].received] == [b"\xff\r\n", b"OK\r\n"]
    assert [delay_s for delay_s, _ in session.modem[1].received] == pytest.approx([0.5, 0.7], abs=0.002)
    assert session.esipa == [
        EsipaExchange("GetEimPackage", POLL, NO_WORK, "2.04"),
        EsipaExchange("GetEimPackage", POLL, None, ""),
    ]
    assert (session.redacted, session.unreadable_lines) == (True, 1)
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "segment-00000001.jsonl").write_bytes(file.read_bytes())
    assert len(load(folder).modem) == 2


@pytest.mark.parametrize("content", [b"", b"nonsense", header(session="s", segment=1, began_s=1, version="1")])
def test_a_file_without_a_modem_is_refused_with_a_reason(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(BenchError, match=r"no recording|nothing that was said"):
        load(file)
    with pytest.raises(BenchError, match="cannot be read"):
        load(tmp_path / "nowhere")
