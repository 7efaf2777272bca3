"""Commands that reach the card (3GPP TS 27.007 clauses 8.17, 8.18, 8.43 to 8.46, 8.54)."""

from __future__ import annotations

from ipad_agent.lab.modem.module_uicc import UiccError
from ipad_agent.lab.modem.virtual_module import Module

from .at_line import Command, Form
from .command_table import Answer, AtError, SilenceError, command, number

OK = Answer()
HEX = frozenset("0123456789ABCDEFabcdef")
STORE_DATA = 0xE2
LAST_BLOCK = 0x91


@command("+CSIM")
def generic_access(module: Module, cmd: Command) -> Answer:
    if module.options.transports == "cgla":
        raise AtError
    if cmd.form is Form.TEST:
        return _test_form(module)
    if module.options.csim_lock and cmd.form is Form.SET and cmd.text in ("0", "1"):
        return _lock(module, taken=cmd.text == "1")
    arguments = _set(cmd, 2)
    apdu = _apdu(module, arguments[0], arguments[1])
    try:
        answer = module.uicc.basic(apdu)
    except UiccError as refused:
        raise AtError(refused.cme) from None
    delay_s = _delay(module, apdu, cmd.name)
    return Answer((_info(module, "+CSIM", f"{len(answer) * 2},{_quoted(module, answer)}"),), delay_s)


def _lock(module: Module, *, taken: bool) -> Answer:
    """The card for this port alone: the module tells it as a card that is gone, and within 3 s after it as one that
    is there again."""
    if taken:
        return Answer(after=lambda: module.report("#QSS: 0"))
    module.timers.set("unlock", 2.0, lambda: module.report("#QSS: 1"))
    return OK


@command("+CCHO")
def open_channel(module: Module, cmd: Command) -> Answer:
    _offers_sessions(module)
    if cmd.form is Form.TEST:
        return _test_form(module)
    if module.options.sessions_refused_with is not None:
        raise AtError(final=module.options.sessions_refused_with)
    arguments = _set(cmd, 1)
    aid = _hex(arguments[0])
    if not 1 <= len(aid) <= 16:
        raise AtError(50)
    try:
        session = module.uicc.open(aid)
    except UiccError as refused:
        raise AtError(refused.cme) from None
    line = session if module.options.bare_session else _info(module, "+CCHO", session)
    return Answer((line,), module.options.apdu_s)


@command("+CGLA")
def session_access(module: Module, cmd: Command) -> Answer:
    _offers_sessions(module)
    if cmd.form is Form.TEST:
        return _test_form(module)
    arguments = _set(cmd, 3)
    apdu = _apdu(module, arguments[1], arguments[2])
    try:
        answer = module.uicc.on_session(arguments[0].strip('"'), apdu)
    except UiccError as refused:
        raise AtError(refused.cme) from None
    flag = "1," if module.options.cgla_flag else ""
    text = f"{flag}{len(answer) * 2},{_quoted(module, answer)}"
    return Answer((_info(module, "+CGLA", text),), _delay(module, apdu, cmd.name))


@command("+CCHC")
def close_channel(module: Module, cmd: Command) -> Answer:
    _offers_sessions(module)
    if not module.options.close_command:
        raise AtError
    if cmd.form is Form.TEST:
        return _test_form(module)
    arguments = _set(cmd, 1)
    try:
        module.uicc.close(arguments[0].strip('"'))
    except UiccError as refused:
        raise AtError(refused.cme) from None
    return Answer(("+CCHC",)) if module.options.close_says_name else OK


@command("+CRSM")
def restricted_access(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return OK
    if cmd.form is not Form.SET:
        raise AtError
    arguments = cmd.arguments
    if not 1 <= len(arguments) <= 7:
        raise AtError(50)
    instruction = number(arguments[0], high=255)
    file_id = number(arguments[1], high=0xFFFF) if len(arguments) > 1 else 0x3F00
    p1, p2, p3 = (number(text or "0", high=255) for text in [*arguments[2:5], "", "", ""][:3])
    # Without a path a module looks for the 6Fxx where they are, in the USIM.
    usual = b"\x3f\x00\x7f\xff" if file_id >> 8 == 0x6F else b"\x3f\x00"
    folder = _hex(arguments[6]) if len(arguments) > 6 and arguments[6].strip('"') else usual
    if len(folder) % 2:
        raise AtError(50)
    path = tuple(int.from_bytes(folder[at : at + 2], "big") for at in range(0, len(folder), 2))
    if path[:1] != (0x3F00,):
        path = (0x3F00, *path)
    path = (*path, file_id) if file_id != 0x3F00 else path
    try:
        if instruction == 176:
            answer = module.uicc.read_file(path, p1 << 8 | p2, p3)
        elif instruction == 178:
            answer = module.uicc.read_record(path, p1, p2, p3)
        elif instruction == 192:
            answer = module.uicc.select_file(path)
        else:
            raise AtError(3)
    except UiccError as refused:
        raise AtError(refused.cme) from None
    text = f"{answer[-2]},{answer[-1]}"
    if len(answer) > 2:
        text += f",{_quoted(module, answer[:-2])}"
    return Answer((_info(module, "+CRSM", text),))


@command("+CUAD")
def applications(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return OK
    records = bytearray()
    try:
        for record in range(1, 32):
            answer = module.uicc.read_record((0x3F00, 0x2F00), record, 0x04, 0)
            if answer[-2:] != b"\x90\x00":
                break
            records += answer[:-2]
    except UiccError as refused:
        raise AtError(refused.cme) from None
    if not records:
        raise AtError(22)
    return Answer((_info(module, "+CUAD", _quoted(module, bytes(records))),))


@command("+CCID", "+ICCID", "+QCCID", "+CICCID", "#CCID", "%XICCID", "+SQNCCID", "^ICCID", "^SCID", "!ICCID")
def iccid(module: Module, cmd: Command) -> Answer:
    form = "?" if cmd.form is Form.READ else ""
    if not {cmd.name, cmd.name + form}.intersection(module.options.iccid_commands):
        raise AtError
    if cmd.form is Form.TEST:
        return OK
    if cmd.form is Form.SET:
        raise AtError(50)
    digits = _profile(module)
    if module.options.iccid_keeps_filler or module.options.iccid_as_in_file:
        digits = digits.ljust(20, "F")
    if module.options.iccid_as_in_file:
        digits = "".join(digits[i + 1] + digits[i] for i in range(0, len(digits), 2))
    if module.options.iccid_bare:
        return Answer((digits,))
    return Answer((_info(module, "+ICCID" if cmd.name == "+CICCID" else cmd.name, digits),))


@command("+CIMI")
def subscriber(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return OK
    _profile(module)
    if module.imsi is None:
        raise AtError(13)
    return Answer((module.imsi,))


@command("+CPIN")
def pin(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return OK
    if cmd.form is not Form.READ:
        raise AtError(3)
    uicc = module.uicc
    if not uicc.powered or not uicc.ready:
        _profile(module)
    if uicc.iccid is None and module.options.no_profile != "ready":
        if module.options.no_profile == "not-ready":
            return Answer((_info(module, "+CPIN", "NOT READY"),))
        raise AtError(10 if module.options.no_profile == "cme10" else 13)
    return Answer((_info(module, "+CPIN", "READY"),))


@command("+QSIMSTAT", "+QSIMDET", "+QINISTAT")
def quectel_sim(module: Module, cmd: Command) -> Answer:
    if module.options.sim_events != "quectel":
        raise AtError
    settings, present = module.settings, int(module.uicc.powered)
    if cmd.form is Form.TEST:
        return OK
    if cmd.name == "+QSIMSTAT" and cmd.form is Form.SET:
        settings.sim_reports = number(cmd.text, high=1)
        return OK
    if cmd.form is Form.SET:
        raise AtError(3)
    if cmd.name == "+QINISTAT":
        return Answer((f"+QINISTAT: {7 if module.uicc.ready else 0}",))
    value = f"{settings.sim_reports},{present}" if cmd.name == "+QSIMSTAT" else "0,0"
    return Answer((f"{cmd.name}: {value}",))


@command("+USIMSTAT", "#QSS", "%XSIM", "^SCKS")
def card_reports(module: Module, cmd: Command) -> Answer:
    """Whether the module tells of its card by itself."""
    makers = {"+USIMSTAT": "ublox", "#QSS": "telit", "%XSIM": "nordic", "^SCKS": "cinterion"}
    if module.options.sim_events != makers[cmd.name]:
        raise AtError
    if cmd.form is Form.READ:
        return Answer((f"{cmd.name}: {module.settings.sim_reports}",))
    if cmd.form is not Form.SET:
        return OK
    module.settings.sim_reports = number(cmd.text, high=7)
    return OK


def _profile(module: Module) -> str:
    """The ICCID as the module read it when it last started the card."""
    uicc = module.uicc
    if not uicc.powered:
        raise AtError(10)
    if not uicc.ready:
        raise AtError(14)
    if uicc.iccid is None:
        raise AtError(10 if module.options.no_profile == "cme10" else 13)
    return uicc.iccid


def _offers_sessions(module: Module) -> None:
    if module.options.transports == "csim":
        raise AtError


def _test_form(module: Module) -> Answer:
    if module.options.silent_test_forms:
        raise SilenceError
    if not module.options.test_forms:
        raise AtError
    return OK


def _set(cmd: Command, count: int) -> list[str]:
    if cmd.form is not Form.SET:
        raise AtError
    arguments = cmd.arguments
    if len(arguments) != count:
        raise AtError(50)
    return arguments


def _hex(text: str) -> bytes:
    digits = text.strip('"')
    if len(digits) % 2 or not HEX.issuperset(digits):
        raise AtError(50)
    return bytes.fromhex(digits)


def _apdu(module: Module, length: str, text: str) -> bytes:
    """The APDU of +CSIM and +CGLA; ``<length>`` counts hex characters."""
    options = module.options
    quoted = len(text) >= 2 and text[0] == '"' and text[-1] == '"'
    if options.require_quotes and not quoted:
        raise AtError(50)
    apdu = _hex(text)
    chars = len(text.strip('"'))
    if options.strict_length and number(length) != chars:
        raise AtError(50)
    if len(apdu) < 4 or chars > options.max_apdu_chars:
        raise AtError(50)
    if options.refuse_le and apdu[1] == STORE_DATA and len(apdu) > 5 and len(apdu) == 6 + apdu[4]:
        raise AtError
    return apdu


def _delay(module: Module, apdu: bytes, way: str) -> float:
    options = module.options
    last = apdu[1] == STORE_DATA and apdu[2] & LAST_BLOCK == LAST_BLOCK
    card_s, module.uicc.card_s = module.uicc.card_s, 0.0
    took_s = card_s + (options.last_block_s if last else 0.0)
    if options.uicc_timer_s is not None and took_s > options.uicc_timer_s and way in options.uicc_timer_on:
        raise AtError(delay_s=options.uicc_timer_s)
    return options.apdu_s + took_s


def _info(module: Module, name: str, text: str) -> str:
    return f"{name}:{' ' if module.options.space_after_colon else ''}{text}"


def _quoted(module: Module, data: bytes) -> str:
    digits = data.hex().upper()
    return f'"{digits}"' if module.options.quoted_answers else digits
