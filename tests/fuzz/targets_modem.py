"""What comes over the serial line, and the files that describe modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ipad_agent.card import apdu
from ipad_agent.modem import commands, module_profile_files
from ipad_agent.modem.at import at_parser, signal_quality
from ipad_agent.modem.errors import LineDamaged, ProfileError

from .target import Kind, Reader, Target

_AID: Final = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
_COMMANDS: Final = {
    "nothing": None,
    "AT": commands.ping(),
    "AT+CCHO": commands.open_channel(_AID, deadline_s=1),
    "AT+CGLA": commands.generic_access("1", b"\x81\xca\x00\x5a\x00", deadline_s=1),
    "AT+CSIM": commands.sim_access(b"\x01\xc0\x00\x00\x1a", deadline_s=1),
    "AT+CGMI": commands.text_query("AT+CGMI", deadline_s=1),
    "AT+CGSN": commands.imei(),
    "AT+QCCID": commands.iccid("AT+QCCID", deadline_s=1),
    "AT+CEREG?": commands.registration("CEREG"),
    "AT+CESQ": commands.query("AT+CESQ", "+CESQ"),
}
_READERS: Final[tuple[Callable[[Sequence[str]], object], ...]] = (
    commands.read_session_id,
    commands.read_apdu,
    commands.read_iccid,
    commands.read_ef_iccid,
    commands.read_number,
    commands.read_registration,
    commands.read_plmn,
    commands.read_technology,
    signal_quality.read_extended,
    signal_quality.read_plain,
    lambda lines: commands.read_digits(lines, 14, 16),
    lambda lines: commands.read_text(commands.text_query("AT+CGMI"), lines),
)


def _parser(command: commands.Command | None) -> Reader:
    """The line parser with this command in flight; fed at once and byte by byte, which must make no difference."""

    def read(data: bytes) -> object:
        whole, pieces = at_parser.AtParser(), at_parser.AtParser()
        for parser in (whole, pieces):
            parser.expect(command.expectation if command else None)
        events = whole.feed(data)
        if len(data) <= 300:
            split = [event for byte in data for event in pieces.feed(bytes([byte]))]
            if split != events:
                raise AssertionError("it depends on where the bytes are cut")
        for event in events:
            if isinstance(event, at_parser.Result):
                commands.cme_code(event)
        return events

    return read


def _answers(data: bytes) -> object:
    """Every line of the input, as the answer to every command; alone and all together."""
    lines = data.decode("ascii", "replace").splitlines()[:20]
    answers = [[], lines, *([line] for line in lines[:3])]
    found = []
    for read in _READERS:
        for answer in answers:
            try:
                found.append(read(answer))
            except LineDamaged:
                continue
    return found


def _apdu_answer(data: bytes) -> object:
    answer = apdu.split_answer(data)
    return apdu.explain(answer.sw), answer.sw1, answer.sw2


def _profile(data: bytes) -> object:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None  # refused by load_file, which reads the disk
    found = module_profile_files.parse(text, name="fuzzed", place="fuzzed.toml")
    return found.matches("Maker", "MODEL-1", "REV 7"), found.usb_ports


def targets() -> Iterator[Target]:
    """The line, its answers, an APDU's answer, and module profiles."""
    yield Target(
        "at-lines", Kind.LINES, {name: _parser(command) for name, command in _COMMANDS.items()}, (), "at", slow=True
    )
    yield Target("at-answers", Kind.LINES, {"all": _answers}, (), "at")
    yield Target("apdu", Kind.BYTES, {"split_answer": _apdu_answer}, (ValueError,))
    yield Target("module-profile", Kind.TOML, {"parse": _profile}, (ProfileError,), logged=False)
