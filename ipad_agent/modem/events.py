"""What this room says (IPA-20xx)."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define("IPA-2001", INFO, "Port {port} opened.", "The serial line is open and locked for this agent.")
def PORT_OPENED(*, port: str) -> None: ...


@define(
    "IPA-2002",
    INFO,
    "Module {manufacturer} {model} ({revision}), profile {profile}.",
    "The module was identified by AT+CGMI, +CGMM and +CGMR. The profile tells its ways and quirks; 'generic-3gpp' "
    "means that none fits: the agent then uses standard commands only. See hw/README.md for adding one.",
)
def MODULE_FOUND(*, manufacturer: str, model: str, revision: str, profile: str) -> None: ...


@define(
    "IPA-2003",
    WARNING,
    "Port {port} is lost: {reason}",
    "Normal while a modem restarts. The agent opens the port again by its stable path and initialises the modem.",
)
def PORT_LOST(*, port: str, reason: str) -> None: ...


@define(
    "IPA-2004",
    WARNING,
    "The line is out of step ({reason}); waiting for silence and asking AT.",
    "An answer came too late or not at all. No later answer is taken for that of the next command.",
)
def LINK_RESYNC(*, reason: str) -> None: ...


@define(
    "IPA-2005",
    WARNING,
    "Another program talks on this port: {evidence}",
    "An answer arrived to a command that the agent did not send. Give the agent a port of its own; usually "
    "ModemManager has to be told to ignore it (hw/99-ipad-agent.rules).",
)
def CONTENTION(*, evidence: str) -> None: ...


@define("IPA-2006", DEBUG, "Logical channel opened over {way}.", "The modem selected the application on a channel.")
def CHANNEL_OPENED(*, way: str) -> None: ...


@define(
    "IPA-2007",
    INFO,
    "No channel over {way}: {reason}",
    "The next way of the module's profile is tried.",
)
def WAY_REFUSED(*, way: str, reason: str) -> None: ...


@define(
    "IPA-2008",
    WARNING,
    "{way} damages what it carries ({reason}); another way is tried first from now on.",
    "The modem opened a channel but cut or refused the traffic on it.",
)
def WAY_DEMOTED(*, way: str, reason: str) -> None: ...


@define(
    "IPA-2009",
    INFO,
    "A channel left open by an earlier run was closed ({way}).",
    "The agent ended without closing it, after a crash or a kill.",
)
def STALE_CHANNEL_CLOSED(*, way: str) -> None: ...


@define(
    "IPA-2010",
    WARNING,
    "No free logical channel: the channels 1 to 3 were closed.",
    "Channels were leaked, by a crash or by another program. A channel of the modem's own may be hit; it opens "
    "another.",
)
def CHANNELS_SWEPT() -> None: ...


@define(
    "IPA-2011",
    INFO,
    "Card reset, rung {rung}: {commands}",
    "A step of the module's reset ladder. The connection may drop for some seconds.",
)
def RESET_STEP(*, rung: int, commands: str) -> None: ...


@define(
    "IPA-2012",
    WARNING,
    "The modem was in AT+CFUN={level}; full function is switched on again.",
    "A card reset was interrupted half-way, or somebody switched the radio off. Set modem.restore_function to false "
    "if the latter is wanted.",
)
def FUNCTION_RESTORED(*, level: int) -> None: ...


@define(
    "IPA-2013",
    DEBUG,
    "Initialisation: {command} was refused ({reason}).",
    "Optional commands are skipped when a module does not know them.",
)
def INIT_REFUSED(*, command: str, reason: str) -> None: ...


@define(
    "IPA-2014",
    DEBUG,
    "The modem echoes again; switching it off.",
    "A modem restarted or another program reset it. Echo costs time only.",
)
def ECHO_RETURNED() -> None: ...


@define(
    "IPA-2015",
    WARNING,
    "Module profile left out: {problem}",
    "A file in the modems folder is wrong. The other profiles are used.",
)
def PROFILE_PROBLEM(*, problem: str) -> None: ...


@define(
    "IPA-2016",
    WARNING,
    "Port {port} does not answer AT.",
    "Wrong port (the diagnostic one?), wrong speed of a UART, or a modem that hangs. The agent opens it again.",
)
def PORT_SILENT(*, port: str) -> None: ...


@define(
    "IPA-2017",
    INFO,
    "No sign of a ready SIM within {seconds:.0f} s after the reset; trying the card all the same.",
    "Expected for an eUICC without an enabled profile: the modem then sees no SIM, but the ISD-R is reachable.",
)
def SIM_READY_TIMEOUT(*, seconds: float) -> None: ...


@define(
    "IPA-2018",
    DEBUG,
    "The UUCP lock {path} could not be written: {reason}",
    "Only the lock that older serial programs honour is missing; the agent's own lock holds.",
)
def LOCK_BESIDE(*, path: Path, reason: str | None) -> None: ...


@define(
    "IPA-2019",
    DEBUG,
    "A fresh line: waiting for silence and asking AT.",
    "Nobody knows what an earlier user of the port left in it, so every opening begins like this.",
)
def LINK_CHECKED() -> None: ...


@define(
    "IPA-2020",
    INFO,
    "Found {title} ({where}): using {port}, interface {interface}.",
    "modem.port is auto, and this is the AT port of the one known modem; the second one where there are two, because "
    "the first belongs to whoever makes the data connection.",
)
def PORT_FOUND(*, title: str, where: str, port: Path, interface: int | None) -> None: ...


@define(
    "IPA-2021",
    INFO,
    "Context {number} of the modem has the APN {apn} now.",
    "Written before the new profile is used for the first time (modem.apn_context).",
)
def APN_SET(*, number: int, apn: str) -> None: ...


@define(
    "IPA-2022",
    WARNING,
    "The APN of the new profile was not written into context {number}: {reason}.",
    "The connection is made with the APN that was there before. If the new profile needs another one it will get no "
    "address, and the switch goes back where the eIM allows that. Writing needs modem.allow_nvm_writes.",
)
def APN_NOT_SET(*, number: int, reason: str) -> None: ...


@define(
    "IPA-2026",
    INFO,
    "Context {number} of the modem has the new profile's user name and password now.",
    "The profile's connectivity parameters name them (SGP.32 §5.9.24). They are written beside the APN, never shown.",
)
def APN_USER_SET(*, number: int) -> None: ...


@define(
    "IPA-2027",
    WARNING,
    "User name and password of the new profile were not written into context {number}: {reason}.",
    "The profile's connectivity parameters name them. Many networks take a connection without; if this one does not, "
    "have the connection made by a script (docs/site.md), which is told both.",
)
def APN_USER_NOT_SET(*, number: int, reason: str) -> None: ...


@define(
    "IPA-2035",
    WARNING,
    "The lock file {path} of user {uid} is not heeded: {reason}.",
    "Every user may put files into the folder of port locks. A lock counts when whoever made it could use the port; "
    "this one would only keep the agent from its work. It is left where it is: find out who put it there.",
)
def LOCK_NOT_HEEDED(*, path: Path, uid: int, reason: str) -> None: ...


@define(
    "IPA-2036",
    INFO,
    "The lock file {path} was removed: process {pid}, which made it, has ended.",
    "Left behind by a program that was killed. A lock is removed only when the kernel says that there is no such "
    "process; one that merely cannot be seen is taken for alive.",
)
def STALE_LOCK_REMOVED(*, path: Path, pid: int) -> None: ...


@define(
    "IPA-2037",
    WARNING,
    "The agent's own lock file {path} cannot be used: {reason}. The port itself is locked all the same.",
    "Two agents on one port are kept apart by the lock on the device. Make store.runtime_dir a folder that belongs to "
    "the agent's user and that nobody else can write to.",
)
def OWN_LOCK_MISSING(*, path: Path, reason: str | None) -> None: ...


@define(
    "IPA-9011",
    INFO,
    "Tolerated: this modem answers {query} with the ICCID as it stands in the card's file; it is read with exchanged "
    "nibbles.",
    "3GPP TS 27.007 leaves the form to the maker, and nearly all print 89…; 98… is the same with the nibbles of each "
    "byte exchanged. Remembered for this module and firmware.",
)
def ICCID_AS_IN_FILE(*, query: str) -> None: ...


@define(
    "IPA-2023",
    INFO,
    "{command} is not answered by this module; it is left out while another command tells the same.",
    "A command that hangs costs its whole deadline each time, a minute in all during a switch. It is asked again when "
    "nothing else answers, or after another module or firmware was found.",
)
def QUERY_HANGS(*, command: str) -> None: ...


@define(
    "IPA-2024",
    INFO,
    "The modem says that its SIM is busy; sent again when the card is there: {commands}.",
    "Some modules refuse everything while the card starts. Without this the module would stay unknown, or its "
    "settings would be missing, until the port is opened again.",
)
def ASKED_LATER(*, commands: str) -> None: ...


@define(
    "IPA-2025",
    INFO,
    "This module does not answer AT+CSIM; TERMINAL CAPABILITY is not sent over it any more.",
    "It would cost its whole deadline after every reset of the card. It is tried again after another module or "
    "firmware was found. Most modules send a TERMINAL CAPABILITY of their own.",
)
def BASIC_CHANNEL_HANGS() -> None: ...


@define(
    "IPA-2094",
    INFO,
    "ModemManager lets go of the modem at {device} while the agent uses {port}.",
    "The data connection of this modem ends meanwhile (modem.inhibit_modem_manager).",
)
def MODEM_MANAGER_INHIBITED(*, device: str, port: Path) -> None: ...


@define(
    "IPA-2095",
    WARNING,
    "ModemManager is not kept away from {port}: {reason}.",
    "It may use the same port as the agent, and is asked again when the port is opened. As another user than root the "
    "agent needs two files of share/ipad-agent/modemmanager: one for the bus, one for polkit. Or let ModemManager "
    "ignore the port (hw/99-ipad-agent.rules).",
)
def MODEM_MANAGER_STAYS(*, port: Path, reason: str) -> None: ...


@define(
    "IPA-2096",
    INFO,
    "ModemManager has the modem at {device} again.",
    "It looks at the modem anew and connects again, which takes 10 to 60 seconds.",
)
def MODEM_MANAGER_BACK(*, device: str) -> None: ...


@define(
    "IPA-2097",
    WARNING,
    "The port {port} is open in another program too: {others}. {advice}",
    "An exclusive open does not bind root, so nothing but good manners keeps programs of root apart. Each may get the "
    "answers that belong to the other.",
)
def PORT_SHARED(*, port: str, others: str, advice: str) -> None: ...


@define(
    "IPA-2038",
    WARNING,
    "The module's own LPA is switched on and may hold the ISD-R; {command} would switch it off.",
    "The card could not be reached, and the module says that its firmware has an LPA at work. Switching it off writes "
    "the module's memory, so it needs modem.allow_nvm_writes, or a person who sends the command and restarts the "
    "module.",
)
def VENDOR_LPA_HOLDS(*, command: str) -> None: ...


@define(
    "IPA-2039",
    WARNING,
    "The module's own LPA was switched off ({command}); it stays off over restarts.",
    "The operator allowed it (modem.allow_nvm_writes), and the ISD-R could not be opened while it was on. It is "
    "written once for this module and firmware.",
)
def VENDOR_LPA_SWITCHED_OFF(*, command: str) -> None: ...


@define(
    "IPA-2040",
    WARNING,
    "The module's own LPA is on again although {command} was sent before; it is not sent a second time.",
    "Somebody or something switches it on again. Find out who; the agent does not wear out the module's memory.",
)
def VENDOR_LPA_ON_AGAIN(*, command: str) -> None: ...


@define(
    "IPA-2041",
    WARNING,
    "The module's own LPA could not be switched off: {reason}",
    "The card stays out of reach. Switch it off by hand, or ask the maker for a firmware without it.",
)
def VENDOR_LPA_STAYS(*, reason: str) -> None: ...


@define(
    "IPA-2042",
    INFO,
    "Card slot {slot} is in use now; before it was {before}.",
    "modem.slot says so and modem.allow_nvm_writes allows it. The module keeps it over restarts.",
)
def SLOT_CHOSEN(*, slot: int, before: int) -> None: ...


@define(
    "IPA-2043",
    WARNING,
    "Card slot {slot} was not chosen: {reason}.",
    "modem.slot names a slot that is not the one in use. The agent works with the card that the module sees.",
)
def SLOT_NOT_CHOSEN(*, slot: int, reason: str) -> None: ...


@define(
    "IPA-2044",
    INFO,
    "{way} is tried first with this module from now on.",
    "The other way was refused again and again while this one works, or it damaged what it carries. Remembered for "
    "this module and firmware.",
)
def WAY_PREFERRED(*, way: str) -> None: ...


@define(
    "IPA-2072",
    INFO,
    "The line to the module has {rate} bit/s: {reason}.",
    "On a UART, modem.fast_baud lets the agent raise the speed by AT+IPR, as far as the module's profile knows that "
    "it can. A speed that fails is left again and remembered for this module and firmware; another value of "
    "modem.fast_baud tries anew. A module that answers at another speed than modem.baud is used as it is.",
)
def LINE_SPEED(*, rate: int, reason: str) -> None: ...


@define(
    "IPA-2079",
    INFO,
    "The modem's power saving was {before}. It was set {reason}: {commands}",
    "The module keeps this over restarts. With power.manage turned off it gets back what it had before the agent set "
    "anything, and is left alone from then on.",
)
def POWER_SET(*, before: object, reason: str, commands: str) -> None: ...


@define(
    "IPA-2093",
    WARNING,
    "The modem does not take a power setting: {reason}",
    "The module, or the network's subscription, has no PSM or eDRX, or not with these times. Everything else goes on; "
    "it is tried again when the port is opened anew.",
)
def POWER_NOT_SET(*, reason: str) -> None: ...


@define(
    "IPA-9067",
    INFO,
    "Tolerated: this modem writes answers to APDUs in a way of its own: {what}.",
    "3GPP TS 27.007 §8.17 and §8.43: one line with the length in hex digits, then data and status word. What arrives "
    "has one meaning only, so it was read. Said once for each way.",
)
def ANSWER_ODDLY_WRITTEN(*, what: str) -> None: ...
