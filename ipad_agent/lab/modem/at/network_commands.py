"""Commands about the network (3GPP TS 27.007 clauses 7 and 8.5)."""

from __future__ import annotations

from ipad_agent.lab.modem.module_radio import registration_fields
from ipad_agent.lab.modem.virtual_module import Module

from .at_line import Command, Form
from .command_table import Answer, AtError, command, number

OK = Answer()
SCAN_S = 20.0


@command("+CREG", "+CGREG", "+CEREG", "+C5GREG")
def registration(module: Module, cmd: Command) -> Answer:
    levels = module.settings.registration
    if cmd.name not in module.options.registration_commands:
        raise AtError
    _needs_profile(module)
    if cmd.form is Form.TEST:
        return Answer((f"{cmd.name}: (0-2)",))
    if cmd.form is Form.READ:
        level = levels[cmd.name]
        if module.options.stat_without_card is not None and not module.uicc.powered:
            return Answer((f"{cmd.name}: {level},{module.options.stat_without_card}",))
        return Answer((f"{cmd.name}: {level},{registration_fields(module.radio, level)}",))
    levels[cmd.name] = number(cmd.text or "0", high=2)
    return OK


@command("+COPS")
def operator(module: Module, cmd: Command) -> Answer:
    settings, cell = module.settings, module.radio.cell
    _needs_profile(module)
    if cmd.form is Form.TEST:
        # A scan takes this long; a host that asks for one blocks its own port.
        found = f'(2,"LAB {cell.plmn}","LAB","{cell.plmn}",{cell.access})' if cell else ""
        return Answer((f"+COPS: {found},,(0-4),(0-2)",), SCAN_S)
    if cmd.form is Form.READ:
        if cell is None:
            return Answer(("+COPS: 0",))
        name = cell.plmn if settings.operator_format == 2 else f"LAB {cell.plmn}"
        return Answer((f'+COPS: 0,{settings.operator_format},"{name}",{cell.access}',))
    if cmd.form is not Form.SET or not cmd.arguments:
        raise AtError
    mode = number(cmd.arguments[0], high=4)
    if mode == 3:
        if len(cmd.arguments) != 2:
            raise AtError(50)
        settings.operator_format = number(cmd.arguments[1], high=2)
    elif mode == 0:
        module.coverage_changed()
    else:
        raise AtError(4)
    return OK


@command("+CSQ")
def signal(module: Module, cmd: Command) -> Answer:
    if cmd.name not in module.options.signal_commands:
        raise AtError
    if cmd.form is Form.TEST:
        return Answer(("+CSQ: (0-31,99),(0-7,99)",))
    cell = module.radio.cell
    level = 99 if cell is None else min(31, max(0, (cell.rssi_dbm + 113) // 2))
    return Answer((f"+CSQ: {level},99",))


@command("+CESQ")
def extended_signal(module: Module, cmd: Command) -> Answer:
    if cmd.name not in module.options.signal_commands:
        raise AtError
    if cmd.form is Form.TEST:
        return OK
    cell = module.radio.cell
    if cell is None:
        return Answer(("+CESQ: 99,99,255,255,255,255",))
    return Answer((f"+CESQ: 99,99,255,255,20,{min(97, max(0, cell.rsrp_dbm + 141))}",))


@command("+CPSMS", "+CEDRXS")
def power_saving(module: Module, cmd: Command) -> Answer:
    """PSM and eDRX (3GPP TS 27.007 clauses 7.38 and 7.40), kept until the module restarts."""
    kept = module.settings.power_saving
    if cmd.form is Form.READ:
        if not module.options.power_saving:
            raise AtError
        if cmd.name == "+CPSMS":
            return Answer((f"+CPSMS: {kept.get(cmd.name, '0')}",))
        mode, _, values = kept.get(cmd.name, "0").partition(",")
        return Answer((f"+CEDRXS: {values}",)) if mode in ("1", "2") and values else OK
    if cmd.form is Form.SET:
        kept[cmd.name] = cmd.text
    return OK


@command("+CSCON")
def connection_status(module: Module, cmd: Command) -> Answer:
    """Whether the radio is connected (3GPP TS 27.007, signalling connection status)."""
    if not module.options.power_saving:
        raise AtError
    if cmd.form is Form.TEST:
        return Answer(("+CSCON: (0,1)",))
    if cmd.form is Form.READ:
        return Answer((f"+CSCON: {module.settings.connection_reports},{int(module.radio_connected)}",))
    module.settings.connection_reports = number(cmd.text or "0", high=1)
    return OK


@command("+CNMPSD")
def no_more_data(module: Module, cmd: Command) -> Answer:
    """The host expects no more data: the radio is let go."""
    if not module.options.no_more_data:
        raise AtError
    if cmd.form is Form.EXECUTE:
        module.releases += 1
        module.connect_radio(False)
    elif cmd.form is not Form.TEST:
        raise AtError
    return OK


@command("+CGATT")
def attached(module: Module, cmd: Command) -> Answer:
    _needs_profile(module)
    if cmd.form is not Form.READ:
        raise AtError(4)
    return Answer((f"+CGATT: {1 if module.radio.cell else 0}",))


@command("+CGDCONT")
def contexts(module: Module, cmd: Command) -> Answer:
    """Definitions of contexts, kept as a module keeps them; how many there may be differs."""
    if cmd.form is Form.TEST:
        return Answer(tuple(f'+CGDCONT: (1-16),"{kind}",,,(0-2),(0-4)' for kind in ("IP", "IPV6", "IPV4V6")))
    if cmd.form is Form.READ:
        kept = sorted(module.contexts.items())
        return Answer(tuple(f'+CGDCONT: {cid},"{kind}","{apn}","0.0.0.0",0,0' for cid, (kind, apn) in kept))
    if cmd.form is not Form.SET:
        raise AtError
    fields = [field.strip().strip('"') for field in cmd.text.split(",")]
    cid = number(fields[0], low=1, high=16)
    if len(fields) == 1:
        module.contexts.pop(cid, None)
    else:
        module.contexts[cid] = (fields[1], fields[2] if len(fields) > 2 else "")
    return Answer()


@command("+CGPADDR")
def address(module: Module, cmd: Command) -> Answer:
    """One context, number 1: its address while the packet service is there, without one nothing behind the number."""
    _needs_profile(module)
    if cmd.form is Form.TEST:
        return Answer(("+CGPADDR: (1)",))
    if cmd.form is Form.SET:
        number(cmd.text, low=1, high=1)
    elif cmd.form is not Form.EXECUTE:
        raise AtError
    cell = module.radio.cell if module.radio.passes_data else None
    return Answer(("+CGPADDR: 1" if cell is None else f'+CGPADDR: 1,"{cell.address}"',))


def _needs_profile(module: Module) -> None:
    if module.options.network_without_profile == "cme10" and module.uicc.iccid is None:
        raise AtError(10)
