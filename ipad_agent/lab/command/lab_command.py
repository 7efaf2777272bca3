"""``ipad-agent lab``: the lab in a terminal, its orders from a second one, and the scenarios.

The parts of the lab are imported only once a command needs them: the program asks for these arguments whatever it is
told to do, and a daemon must not carry a lab.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import logging
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipad_agent.lab.errors import BenchError, ControlError

from .card_arguments import add_card_arguments, card_options

if TYPE_CHECKING:
    from ipad_agent.lab.bench.lab_bench import Bench
    from ipad_agent.lab.devices.many_devices import ManyDevices

__all__ = ["add_arguments", "run"]

DEFAULT_FOLDER = ".lab"
SUMMARY_S = 10.0
HTTPS_TLS = ("rsa", "expired", "not-yet-valid", "foreign")
PARTS = {
    "eim": "queue orders, read results, arm faults",
    "modem": "status, restart, faults, networks",
    "card": "profiles, state, pull it, cut its power",
    "network": "counters, loss, blackout, new NAT bindings",
    "smdp": "profiles to offer, notifications, faults",
}


def add_arguments(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Give the parser of ``ipad-agent lab`` its commands; returned, so that others can add to them."""
    commands = parser.add_subparsers(dest="lab_command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the lab and keep it running until interrupted")
    _folder(up)
    up.add_argument("--json", action="store_true", help="print how to reach the parts as one JSON object")
    up.add_argument("--eim-port", type=int, default=0, metavar="PORT", help="UDP port of the eIM (default: a free one)")
    up.add_argument("--https-port", type=int, default=0, metavar="PORT", help="TCP port of the eIM")
    up.add_argument("--smdp-port", type=int, default=0, metavar="PORT", help="TCP port of the SM-DP+")
    up.add_argument("--smds-port", type=int, default=0, metavar="PORT", help="TCP port of the SM-DS")
    up.add_argument("--es2-operator", default="", metavar="URL", help="tell an operator's ES2+ there of downloads")
    up.add_argument("--rest-port", type=int, metavar="PORT", help="offer the eIM's REST API and page there (0: any)")
    up.add_argument(
        "--vpcd",
        type=int,
        metavar="PORT",
        help="put the card into the virtual PC/SC reader (vpcd) that listens there, and not into the modem",
    )
    up.add_argument("--store", type=Path, metavar="FILE", help="keep the eIM's state in this SQLite file")
    up.add_argument(
        "--carrier", choices=("coaps", "https", "both"), help="how the eIM is reached (default: both; psk: coaps)"
    )
    up.add_argument("--binding", choices=("asn1", "json"), default="asn1", help="what the agent speaks over HTTPS")
    up.add_argument(
        "--inject",
        choices=("none", "https", "coaps", "both"),
        default="none",
        help="how the agent listens for packages that are pushed",
    )
    up.add_argument("--https-tls", choices=HTTPS_TLS, default="", help="another certificate for the eIM's HTTPS")
    up.add_argument("--strict-https", action="store_true", help="an eIM that takes its headers to the letter")
    up.add_argument("--no-relay", action="store_true", help="an eIM that leaves downloads to the device")
    up.add_argument("--curve", choices=("p256", "brainpool"), default="p256", help="of card and eIM signatures")
    up.add_argument(
        "--modem",
        "--personality",
        dest="personality",
        default="generic",
        metavar="FAMILY",
        help="which modem to play; list tells what there is",
    )
    up.add_argument("--baud", type=int, metavar="BAUD", help="slow the line down to this rate")
    up.add_argument(
        "--uart",
        action="store_true",
        help="the line has the modem's speed (115200, AT+IPR); at another one it is noise",
    )
    up.add_argument("--pki", type=Path, metavar="DIR", help="keys and certificates to use, with a manifest.json")
    up.add_argument("--tls", choices=("self", "issued", "psk"), default="self", help="how the eIM is authenticated")
    up.add_argument(
        "--connection-id",
        type=int,
        default=0,
        metavar="BYTES",
        help="length of the Connection IDs that the eIM gives over DTLS (needs Mbed TLS 3.6)",
    )
    up.add_argument(
        "--client-certificate",
        choices=("no", "required"),
        default="no",
        help="whether the eIM asks for a certificate of the device",
    )
    up.add_argument(
        "--provision",
        choices=("agent", "card", "none"),
        help="who tells the card its eIM: the agent (default), the factory (card), or nobody (with --associate)",
    )
    up.add_argument("--devices", type=int, metavar="N", help="put N devices with a real agent on each beside the modem")
    up.add_argument(
        "--interval", type=float, default=60.0, metavar="SECONDS", help="how often each of them polls (default: 60)"
    )
    add_card_arguments(up)

    for part, about in PARTS.items():
        orders = commands.add_parser(part, help=f"orders to a running lab: {about}")
        _folder(orders)
        orders.add_argument("--json", action="store_true", help="print the answer as data")
        orders.add_argument("words", nargs=argparse.REMAINDER, metavar="ORDER", help="see: ipad-agent lab orders")
    devices = commands.add_parser("devices", help="the devices of a lab that was started with --devices")
    _folder(devices)
    devices.add_argument("--json", action="store_true", help="print them as data")
    commands.add_parser("orders", help="everything that can be ordered from a running lab")
    down = commands.add_parser("down", help="stop a running lab")
    _folder(down)

    replay = commands.add_parser(
        "replay",
        help="play a recorded modem back on a pty, and the eIM's answers where its key is at hand",
        description="Serves what `ipactl record export FILE` recorded until interrupted, then says what was asked that "
        "was not recorded. The eIM and the servers of downloads prove themselves by keys that no recording holds: "
        "their side is played with --pki only, which is for recordings made with a lab.",
    )
    replay.add_argument("recording", type=Path, metavar="FILE", help="a recording (jsonl), or a folder of segments")
    _folder(replay)
    replay.add_argument("--pki", type=Path, metavar="DIR", help="the keys of the lab that was recorded; plays its eIM")
    replay.add_argument("--eim-port", type=int, default=0, metavar="PORT", help="UDP port of that eIM (a free one)")
    replay.add_argument(
        "--tls", choices=("self", "issued"), default="self", help="how the recorded lab's eIM proved itself"
    )

    commands.add_parser("list", help="the scenarios")
    story = commands.add_parser("run", help="run scenarios; exit status 0 if all end well")
    story.add_argument("names", nargs="*", metavar="NAME")
    story.add_argument("--all", action="store_true", help="every scenario")
    story.add_argument("--json", action="store_true", help="one JSON object per scenario")
    story.add_argument("--keep", action="store_true", help="leave logs and states behind")
    return commands


def run(args: argparse.Namespace) -> int:
    """Run a parsed ``lab`` command; the exit status (0 done, 1 it went wrong, 2 wrong words)."""
    from ipad_agent.lab.eim.errors import EimLabError
    from ipad_agent.lab.euicc import CardError
    from ipad_agent.lab.pki import PkiError

    try:
        return _run(args)
    except ControlError as error:
        print(error, file=sys.stderr)
        return 2
    except (BenchError, PkiError, EimLabError, CardError) as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise  # whoever read our output has gone; the caller knows what to do
    except OSError as error:
        print(f"the lab cannot be started: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace) -> int:
    match args.lab_command:
        case "up":
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
            return asyncio.run(_up(args))
        case "replay":
            from .replay_command import replay

            return replay(args)
        case "list":
            from ipad_agent.lab.scenarios.scenario_runner import load_all

            for story in load_all().values():
                print(f"{story.name:24} {story.about}")
        case "run":
            return _run_scenarios(args)
        case "orders":
            from .lab_orders import usage

            print(usage())
        case "down":
            _order(args.dir, ["lab", "down"], as_json=False)
        case "devices":
            _order(args.dir, ["lab", "devices"], as_json=args.json)
        case part:
            _order_part(part, args)
    return 0


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir", type=Path, default=Path(DEFAULT_FOLDER), help=f"the lab's folder (default: {DEFAULT_FOLDER})"
    )


def _absolute(words: Iterable[str]) -> list[str]:
    """``@FILE`` is read by the lab, whose working directory is another."""
    return [f"@{Path(word[1:]).absolute()}" if word.startswith("@") else word for word in words]


def _order_part(part: str, args: argparse.Namespace) -> None:
    """``--json`` and ``--dir`` may also stand behind the order; the rest of its words are the lab's own."""
    words = list(args.words)
    as_json = args.json or "--json" in words
    words = [word for word in words if word != "--json"]
    folder = args.dir
    if "--dir" in words[:-1]:
        at = words.index("--dir")
        folder = Path(words[at + 1])
        del words[at : at + 2]
    if part == "eim" and words[:1] == ["bundle"] and len(words) > 1:
        words[1] = str(Path(words[1]).absolute())
    if part == "eim" and words[:1] == ["import"]:
        words = [
            str(Path(word).absolute()) if word != "--replace-key" and at else word for at, word in enumerate(words)
        ]
    _order(folder, [part, *_absolute(words)], as_json=as_json)


def _order(folder: Path, words: Sequence[str], *, as_json: bool) -> None:
    from .lab_socket import send_order

    answer = send_order(folder, words)
    print(json.dumps(answer.data, ensure_ascii=False, indent=2) if as_json else answer.text)


def _run_scenarios(args: argparse.Namespace) -> int:
    from ipad_agent.lab.scenarios.scenario_runner import load_all, run_many

    stories = load_all()
    names = list(stories) if args.all else args.names
    unknown = [name for name in names if name not in stories]
    if unknown:
        import difflib

        near = [name for name in stories if unknown[0] in name] or difflib.get_close_matches(unknown[0], stories)
        told = f"perhaps {' or '.join(near[:8])}" if near else f"there are {', '.join(stories)}"
        raise ControlError(f"no scenario {', '.join(unknown)}; {told}")
    if not names:
        raise ControlError(f"name one of: {', '.join(stories)}")
    logging.basicConfig(level=logging.ERROR)
    chosen = [stories[name] for name in names]
    return 0 if asyncio.run(run_many(chosen, sys.stdout, as_json=args.json, keep=args.keep)) else 1


async def _up(args: argparse.Namespace) -> int:
    from ipad_agent.lab.bench.bench_options import BenchOptions
    from ipad_agent.lab.bench.lab_bench import Bench
    from ipad_agent.lab.bench.rsp_servers_on_bench import RspOptions
    from ipad_agent.lab.eim.https.esipa_https import STRICT, FrontSettings
    from ipad_agent.lab.eim.injection.injection_site import INJECTION
    from ipad_agent.lab.modem import PERSONALITIES, SHORT_NAMES, Uart, manners

    from .lab_orders import obey, push_package
    from .lab_socket import Answer, ControlServer

    if args.personality in ("list", "?"):
        for name, played in PERSONALITIES.items():
            print(f"{name:18} {played.manufacturer} {played.model}: {manners(played)}")
        return 0
    if args.personality not in PERSONALITIES and args.personality not in SHORT_NAMES:
        raise ControlError(f"--modem is one of: {', '.join(PERSONALITIES)}")
    options = BenchOptions(
        personality=args.personality,
        baud=args.baud,
        modem={"uart": Uart()} if args.uart else {},
        curve=args.curve,
        tls=args.tls,
        client_certificate=args.client_certificate,
        dtls={"connection_id_bytes": args.connection_id},
        provision=args.provision or ("agent" if args.associate is None else "none"),
        port=args.eim_port,
        https_port=args.https_port,
        rest_port=args.rest_port,
        store=args.store,
        vpcd_port=args.vpcd,
        carrier=args.carrier or ("coaps" if args.tls == "psk" else "both"),
        binding=args.binding,
        inject={"none": (), "both": INJECTION}.get(args.inject, (args.inject,)),
        https=STRICT if args.strict_https else FrontSettings(),
        https_tls=args.https_tls,
        rsp=RspOptions(
            relay="none" if args.no_relay else "https",
            smdp_port=args.smdp_port,
            smds_port=args.smds_port,
            operator_url=args.es2_operator,
        ),
        config={"poll": {"interval_s": 60}},
        link_follows_modem=args.devices is None,
        **card_options(args),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Bench(options, args.dir, pki_folder=args.pki) as bench, contextlib.AsyncExitStack() as stack:
        devices: ManyDevices | None = None

        async def handle(words: Sequence[str]) -> Answer:
            if list(words) == ["lab", "down"]:
                stop.set()
                return Answer("the lab stops")
            if list(words) == ["lab", "devices"]:
                if devices is None:
                    raise ControlError("this lab has no devices beside its modem; start it with --devices N")
                return Answer(devices.table(), [row.facts for row in devices.rows()])
            if list(words[:2]) == ["eim", "inject"]:
                return await push_package(bench, words[2:])
            return obey(bench, words)

        async with ControlServer(bench.folder, handle):
            facts = describe(bench, args.card)
            print(json.dumps(facts, ensure_ascii=False) if args.json else _text(facts), flush=True)
            if args.devices is not None:
                from ipad_agent.lab.devices.many_devices import ManyDevices

                # A line for each session of each device is more than anybody reads.
                logging.getLogger("ipad_agent.lab").setLevel(logging.WARNING)
                devices = ManyDevices(bench, args.devices, interval_s=args.interval)
                await stack.enter_async_context(devices)
                await _say_how_they_do(devices, stop)
                print(devices.table(), flush=True)
            await stop.wait()
    return 0


async def _say_how_they_do(devices: ManyDevices, stop: asyncio.Event) -> None:
    """A line now and then, when it is another one."""
    said = ""
    while not stop.is_set():
        line = devices.summary()
        if line != said:
            print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
        said = line
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SUMMARY_S):
                await stop.wait()


def describe(bench: Bench, card: str = "iot-v1.2") -> dict[str, Any]:
    """How to reach everything, as plain data; ``card`` is the kind of card."""
    host, port = bench.proxy.address
    uri = f"coaps://{host}:{port}/gsma/rsp2/asn1"
    facts: dict[str, Any] = {
        "folder": str(bench.folder),
        "modem": str(bench.modem.path),
        "personality": bench.options.personality,
        "eim": uri,
        "eimId": bench.identity.eim_id,
        "card": card,
        "eid": bench.eid,
        "profiles": {p.iccid: "enabled" if p.enabled else "disabled" for p in bench.card.state.profiles},
        "initialEim": str(bench.folder / "initial-eim.der"),
        "config": str(bench.folder / "agent.toml"),
        "control": str(bench.folder / "control.sock"),
        "agent": f"ipad-agent run --config {shlex.quote(str(bench.folder / 'agent.toml'))}",
        "ipactl": f"export IPACTL_SOCKET={shlex.quote(str(bench.folder / 'agent-run' / 'io.github.ipadagent'))}",
    }
    if bench.rest is not None:
        facts["rest"] = f"{bench.rest.url}/api/v1"
        facts["page"] = f"{bench.rest.url}/"
    poll = f"BF4F125A10{bench.eid}"
    if bench.options.tls == "psk":
        key_path = bench.folder / "psk.key"
        facts["psk"] = {"identity": "lab-device", "keyFile": str(key_path)}
        key = bytes.fromhex(key_path.read_text())
        if key.isalnum():  # a key of an older folder may be one that no command line can hold
            # By number: there is no name that a certificate has to have, and localhost may be ::1 first.
            client = f"coap-client-openssl -m post -u lab-device -k {key.decode()} -f - {uri}"
            facts["stranger"] = f"printf {poll} | xxd -r -p | {client}"
    else:
        entry = bench.pki[f"eim-tls-{bench.options.tls}"]
        facts["certificate"] = str(entry.cert_path)
        facts["pin"] = hashlib.sha256(bench.identity.tls.spki_der).hexdigest()
        anchor = bench.pki["eim-ca"].cert_path if bench.options.tls == "issued" else entry.cert_path
        url = uri.replace("127.0.0.1", "localhost")
        own = _own_certificate(bench, "-c", "-j")
        client = f"coap-client-openssl -m post -R {anchor} {own}-f - {url}"
        facts["stranger"] = f"printf {poll} | xxd -r -p | {client}"
        if bench.https_gate is not None:
            facts |= _describe_https(bench, poll)
    if bench.options.rsp is not None:
        facts |= _describe_rsp(bench)
    return facts


def _describe_https(bench: Bench, poll: str) -> dict[str, Any]:
    chain = bench.https_chain()
    port = 0 if bench.https_gate is None else bench.https_gate.port
    url = f"https://localhost:{port}/gsma/rsp2/asn1"
    headers = "-H 'Content-Type: application/x-gsma-rsp-asn1' -H 'X-Admin-Protocol: gsma/rsp/v2.1.0'"
    own = _own_certificate(bench, "--cert", "--key")
    client = f"curl -s --cacert {chain[-1].cert_path} {own}{headers} --data-binary @- {url}"
    return {
        "https": url,
        "httpsCertificate": str(chain[0].cert_path),
        "httpsStranger": f"printf {poll} | xxd -r -p | {client} | xxd",
    }


def _own_certificate(bench: Bench, certificate: str, key: str) -> str:
    """The options of a client by which it shows the device's certificate, where the eIM asks for one."""
    if bench.options.client_certificate == "no":
        return ""
    own = bench.device_certificate
    return f"{certificate} {own.certificate_path} {key} {own.key_path} "


def _describe_rsp(bench: Bench) -> dict[str, Any]:
    site = bench.rsp
    anchor = bench.pki["ci"].cert_path
    headers = "-H 'Content-Type: application/json' -H 'X-Admin-Protocol: gsma/rsp/v2.1.0'"
    url = f"https://{site.smdp_address}/gsma/rsp2/es9plus/"
    return {
        "smdp": url,
        "es2": f"https://{site.smdp_address}/gsma/rsp2/es2plus/",
        "smds": f"https://{site.smds_address}/gsma/rsp2/es9plus/",
        "ci": str(anchor),
        "codes": [site.code(order) for order in site.smdp.orders],
        "smdpStranger": f"curl -s --cacert {anchor} {headers} -d '{{}}' {url}initiateAuthentication",
    }


def _text(facts: dict[str, Any]) -> str:
    names = {
        "modem": "modem",
        "eim": "eIM",
        "eimId": "eIM's name",
        "certificate": "certificate",
        "pin": "SPKI SHA-256",
        "card": "card",
        "eid": "EID",
        "config": "agent's config",
        "agent": "the agent",
        "stranger": "another client",
        "https": "eIM, HTTPS",
        "httpsStranger": "another client",
        "rest": "eIM, REST",
        "page": "its page",
        "smdp": "SM-DP+",
        "es2": "its ES2+",
        "smds": "SM-DS",
        "ci": "their CI",
        "smdpStranger": "another client",
    }
    lines = ["The lab is up. Stop it with Ctrl-C.", ""]
    lines += [f"  {title:15} {facts[name]}" for name, title in names.items() if name in facts]
    lines += [f"  {'profile':15} {iccid} ({state})" for iccid, state in facts["profiles"].items()]
    lines += [f"  {'to download':15} {code}" for code in facts.get("codes", [])]
    folder = facts["folder"]
    last = list(facts["profiles"])[-1:]
    lines += [
        "",
        "In a second terminal:",
        f"  {facts['agent']}",
        "In a third one, which ipactl then takes for this agent's:",
        f"  {facts['ipactl']}",
        "  ipactl",
        *([f"  ipad-agent lab eim --dir {folder} import FILE"] if facts["card"] == "consumer" else []),
        *(f"  ipad-agent lab eim --dir {folder} queue enable {iccid} --rollback" for iccid in last),
        f"  ipad-agent lab eim --dir {folder} results",
        f"  ipad-agent lab card --dir {folder} profiles",
    ]
    lines += [f"  ipad-agent lab eim --dir {folder} queue trigger '{code}'" for code in facts.get("codes", [])]
    return "\n".join(lines)
