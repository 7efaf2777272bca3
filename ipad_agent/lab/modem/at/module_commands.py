"""Settings of single makers that stay in permanent memory: the card's slot, the LPA in the module."""

from __future__ import annotations

from ipad_agent.lab.modem.virtual_module import Module

from .at_line import Command, Form
from .command_table import Answer, AtError, command, number

OK = Answer()


@command("+QUIMSLOT", "+QDSIM", "+SWITCHSIM", "#SIMSELECT", "!UIMS", "+GTDUALSIM", "%CSUS", "^SCFG", "^SWITCH_SLOT")
def slot(module: Module, cmd: Command) -> Answer:
    """Which slot is in use. ``^SCFG`` is read as ``AT^SCFG="SIM/CS"`` and answers with quotes around the number."""
    setting = module.options.slot
    if setting is None or setting.command.partition("=")[0] != cmd.name:
        raise AtError
    key = setting.command.partition("=")[2]
    arguments = cmd.arguments
    if key:
        if arguments[:1] != [key]:
            raise AtError(50)
        arguments = arguments[1:]
    if cmd.form is Form.TEST:
        return OK
    if cmd.form is Form.READ or not arguments:
        if not setting.readable:
            raise AtError
        told = f'{key},"{module.next_slot}"' if key else str(module.next_slot)
        return Answer((f"{cmd.name}: {told}",))
    chosen = number(arguments[0].strip('"'), high=9)
    if chosen not in setting.numbers:
        raise AtError(50)
    if (setting.needs_radio_off and module.functionality == 1) or (
        setting.needs_unlock and not module.settings.unlocked
    ):
        raise AtError(3)
    module.nvm_writes.append(f"AT{cmd.name}={cmd.text}")
    return Answer(after=lambda: module.choose_slot(chosen))


@command("!ENTERCND")
def unlock(module: Module, cmd: Command) -> Answer:
    if module.options.slot is None or not module.options.slot.needs_unlock:
        raise AtError
    if cmd.form is not Form.SET or cmd.text != '"A710"':
        raise AtError(16)
    module.settings.unlocked = True
    return OK


@command("+QESIM")
def vendor_lpa(module: Module, cmd: Command) -> Answer:
    """``AT+QESIM="lpa_enable"`` tells, ``AT+QESIM="lpa_enable",0`` takes effect at the next start of the module."""
    arguments = cmd.arguments
    if not module.options.vendor_lpa or cmd.form is not Form.SET or arguments[:1] != ['"lpa_enable"']:
        raise AtError
    if len(arguments) == 1:
        return Answer((f'+QESIM: "lpa_enable",{int(module.vendor_lpa_enabled)}',))
    module.vendor_lpa_enabled = number(arguments[1], high=1) == 1
    module.nvm_writes.append(f"AT+QESIM={cmd.text}")
    return OK


@command("^SIND")
def indicators(module: Module, cmd: Command) -> Answer:
    if module.options.sim_events != "cinterion":
        raise AtError
    return OK
