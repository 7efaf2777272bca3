"""Commands about the line and the module itself (ITU-T V.250, 3GPP TS 27.007 clauses 5 and 8)."""

from __future__ import annotations

import time

from ipad_agent.lab.modem.virtual_module import S_REGISTERS, Module

from .at_line import Command, Form
from .command_table import Answer, AtError, command, number

OK = Answer()


@command("E")
def echo(module: Module, cmd: Command) -> Answer:
    module.settings.echo = number(cmd.text or "0", high=1) == 1
    return OK


@command("V")
def verbose(module: Module, cmd: Command) -> Answer:
    module.settings.verbose = number(cmd.text or "0", high=1) == 1
    return OK


@command("Q")
def quiet(module: Module, cmd: Command) -> Answer:
    module.settings.quiet = number(cmd.text or "0", high=2) == 1
    return OK


@command("Z", "&F")
def defaults(module: Module, cmd: Command) -> Answer:
    module.settings = module.default_settings()
    return OK


@command(*(f"S{number}" for number in S_REGISTERS))
def register(module: Module, cmd: Command) -> Answer:
    """An S-register (V.250 clauses 5.3.2 and 6.2). S3, S4 and S5 are obeyed."""
    index = int(cmd.name[1:])
    if cmd.form is Form.READ:
        return Answer((f"{module.settings.registers[index]:03}",))
    if cmd.form is Form.SET:
        module.settings.registers[index] = number(cmd.text or "0", high=127 if index in (3, 4, 5) else 255)
    return OK


@command("+GCAP")
def capabilities(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return OK
    _only(cmd, Form.EXECUTE)
    return Answer(("+GCAP: +CGSM",))


@command("X", "&C", "&D", "&K", "&S", "&W", "H", "L", "M")
@command("+IFC", "+ICF", "+CTZU", "+CTZR", "+CMGF", "+CGEREP", "+CSCLK")
def accepted(module: Module, cmd: Command) -> Answer:
    """Settings that change nothing the lab shows; reading them back is not offered."""
    if cmd.form is Form.READ:
        raise AtError
    if cmd.form is Form.TEST and cmd.name == "+CTZU":
        return Answer(("+CTZU: (0,1)",))  # ModemManager 1.20 dies of a bare OK
    return OK


@command("+IPR")
def line_rate(module: Module, cmd: Command) -> Answer:
    uart = module.options.uart
    if uart is None:  # the USB has no speed, and modules take whatever they are told
        return accepted(module, cmd)
    listed = ",".join(str(rate) for rate in uart.rates)
    if cmd.form is Form.TEST:
        return Answer((f"+IPR: (),({listed})",))
    if cmd.form is Form.READ:
        return Answer((f"+IPR: {module.line_rate}",))
    _only(cmd, Form.SET)
    rate = number(cmd.text)
    if uart.change == "refused":
        raise AtError(4)
    if rate not in uart.rates:
        raise AtError(50)
    if uart.kept and rate != module.start_rate:
        module.start_rate = rate
        module.nvm_writes.append(f"AT+IPR={rate}")
    if uart.change == "never":
        return OK
    if uart.change == "before-ok":
        module.set_line_rate(rate)
        return OK
    taken = {"another": uart.rates[0], "deaf": 1}.get(uart.change, rate)
    return Answer(after=lambda: module.set_line_rate(taken))


@command("+QSCLK", "+QURCCFG", "+QINDCFG", "+QCFG")
def accepted_by_quectel(module: Module, cmd: Command) -> Answer:
    if module.options.sim_events != "quectel" or cmd.form is Form.READ:
        raise AtError
    if cmd.name == "+QSCLK" and cmd.form is Form.SET:
        module.settings.may_sleep = cmd.text != "0"
    return OK


@command("I")
def information(module: Module, cmd: Command) -> Answer:
    options = module.options
    return Answer((options.manufacturer, options.model, f"Revision: {options.revision}"))


@command("+GMI", "+CGMI", "+GMM", "+CGMM", "+GMR", "+CGMR")
def identity(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return OK
    _only(cmd, Form.EXECUTE)
    options = module.options
    return Answer(({"I": options.manufacturer, "M": options.model, "R": options.revision}[cmd.name[-1]],))


@command("+GSN", "+CGSN")
def serial_number(module: Module, cmd: Command) -> Answer:
    options = module.options
    if cmd.form is Form.TEST:
        return Answer(("+CGSN: (0-3)",)) if cmd.name == "+CGSN" else OK
    if cmd.form is Form.EXECUTE:
        return Answer((options.imei,))
    _only(cmd, Form.SET)
    kind = number(cmd.text, high=3)
    if kind == 0:
        return Answer((options.imei,))
    value = {1: options.imei, 2: options.imei[:14] + options.software_version, 3: options.software_version}[kind]
    return Answer((f'+CGSN: "{value}"',))


@command("+CMEE")
def error_reports(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return Answer(("+CMEE: (0-2)",))
    if cmd.form is Form.READ:
        return Answer((f"+CMEE: {module.settings.cmee}",))
    module.settings.cmee = number(cmd.text or "0", high=2)
    return OK


@command("+CSCS")
def character_set(module: Module, cmd: Command) -> Answer:
    if cmd.form is Form.TEST:
        return Answer(('+CSCS: ("GSM","IRA","UCS2")',))
    if cmd.form is Form.READ:
        return Answer((f'+CSCS: "{module.settings.charset}"',))
    charset = cmd.text.strip('"').upper()
    if charset not in ("GSM", "IRA", "UCS2"):
        raise AtError(50)
    module.settings.charset = charset
    return OK


@command("+CFUN")
def functionality(module: Module, cmd: Command) -> Answer:
    power = module.options.uicc_power_command
    if cmd.form is Form.TEST:
        return Answer(("+CFUN: (0,1,4,40,41),(0-1)" if power else "+CFUN: (0,1,4),(0-1)",))
    if cmd.form is Form.READ:
        return Answer((f"+CFUN: {module.functionality}",))
    _only(cmd, Form.SET)
    arguments = cmd.arguments
    level = number(arguments[0] if arguments else "", high=41)
    if level in module.options.restart_levels:
        return Answer(after=module.restart)
    restart = number(arguments[1], high=1) if len(arguments) > 1 else 0
    if level in (40, 41) and power:
        if level == 40:
            module.cut_card()
        elif not module.uicc.powered:
            module.start_card()
        return OK
    if level not in (0, 1, 4) or len(arguments) > 2:
        raise AtError(50)
    if restart and not module.options.cfun_one_comma_one:
        raise AtError(4)
    if restart:
        return Answer(after=module.restart)
    module.set_functionality(level)
    return OK


@command("+CCLK")
def clock(module: Module, cmd: Command) -> Answer:
    _only(cmd, Form.READ)
    # Without network time a module counts from its own epoch.
    since_1970_s = module.wall() if module.wall is not None else 315964800.0 + module.timers.now_s
    return Answer((f'+CCLK: "{time.strftime("%y/%m/%d,%H:%M:%S", time.gmtime(since_1970_s))}+00"',))


def _only(cmd: Command, *forms: Form) -> None:
    if cmd.form not in forms:
        raise AtError
