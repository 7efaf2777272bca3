"""SMS that the module received (3GPP TS 27.005 §3), in PDU mode: announced, read, deleted."""

from __future__ import annotations

from ipad_agent.lab.modem.virtual_module import Module

from .at_line import Command, Form
from .command_table import Answer, AtError, command, number

OK = Answer()


@command("+CNMI")
def indications(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return Answer(("+CNMI: (0-2),(0-3),(0-3),(0-2),(0,1)",))
    if cmd.form is Form.READ:
        return Answer((f"+CNMI: 2,{module.settings.message_indication},0,0,0",))
    fields = cmd.arguments
    module.settings.message_indication = number(fields[1], high=3) if len(fields) > 1 else 0
    return OK


@command("+CPMS")
def memory(module: Module, cmd: Command) -> Answer:
    used = f"{len(module.messages)},20"
    if cmd.form is Form.READ:
        return Answer((f'+CPMS: "ME",{used},"ME",{used},"ME",{used}',))
    return Answer((f"+CPMS: {used},{used},{used}",))


@command("+CMGR")
def read(module: Module, cmd: Command) -> Answer:
    pdu = module.messages.get(number(cmd.text, high=255))
    if pdu is None:
        raise AtError
    return Answer((f"+CMGR: 0,,{len(pdu) - 1 - pdu[0]}", pdu.hex().upper()))


@command("+CMGD")
def delete(module: Module, cmd: Command) -> Answer:
    if module.messages.pop(number(cmd.text, high=255), None) is None:
        raise AtError
    return OK


def sms_deliver(sender: str, text: str) -> bytes:
    """SMS-DELIVER in the default alphabet, without a service centre (TS 23.040 §9.2.2.1); ``sender`` as ``+49…``."""
    digits = sender.removeprefix("+")
    padded = digits + "F" * (len(digits) % 2)
    swapped = bytes(int(padded[at + 1] + padded[at], 16) for at in range(0, len(padded), 2))
    kind = 0x91 if sender.startswith("+") else 0x81
    septets = sum((ord(letter) & 0x7F) << (7 * at) for at, letter in enumerate(text))
    packed = septets.to_bytes(-(-len(text) * 7 // 8), "little")
    stamp = bytes.fromhex("62110321436500")
    return bytes([0, 0x04, len(digits), kind]) + swapped + bytes([0, 0]) + stamp + bytes([len(text)]) + packed
