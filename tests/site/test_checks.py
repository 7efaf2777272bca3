from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.site import NetworkChecks
from ipad_agent.site.dns_check import NameUnknown, Resolver, system_resolve
from ipad_agent.site.interface_addresses import Address, Owned
from ipad_agent.site.route_lookup import Kernel
from virtual_time import run

from .conftest import Heard
from .places import script

WWAN, CABLE = 5, 2
SIM = ipaddress.ip_address("10.64.0.7")
OFFICE = ipaddress.ip_address("192.168.1.5")
BOTH = (Owned(CABLE, OFFICE), Owned(WWAN, SIM))
LOOPBACK = ipaddress.ip_address("127.0.0.1")


def number(name: str) -> int:
    if name != "wwan0":
        raise OSError(19, "No such device")
    return WWAN


def kernel(owned: Sequence[Owned] | None, routes: dict[str, Address], default: Address | None = None) -> Kernel:
    return Kernel(owned=lambda: owned, source=lambda host: routes.get(host, default), interface_number=number)


def knows(*addresses: str) -> Callable[[str], Awaitable[tuple[str, ...]]]:
    async def resolve(host: str) -> tuple[str, ...]:
        if not addresses:
            raise NameUnknown("Name or service not known")
        return addresses

    return resolve


def checks(
    kernel: Kernel | None = None,
    *,
    interface: str | None = None,
    application: str | None = None,
    resolve: Callable[[str], Awaitable[tuple[str, ...]]] = system_resolve,
    timeout_s: float = 5.0,
) -> NetworkChecks:
    return NetworkChecks(
        interface=interface,
        application=application,
        dns_timeout_s=timeout_s,
        application_timeout_s=timeout_s,
        resolve=resolve,
        kernel=kernel,
    )


def ip(ok: bool | None, detail: str) -> Finding:
    return Finding(Stage.IP, ok, detail)


# -- address and route -----------------------------------------------------------------------------------------------
async def test_without_a_host_an_address_is_enough() -> None:
    assert await checks(kernel(BOTH, {})).ip(None) == ip(True, "address 192.168.1.5")
    assert await checks(kernel(BOTH, {}), interface="wwan0").ip(None) == ip(True, "address 10.64.0.7 on wwan0")
    assert await checks(kernel((), {})).ip(None) == ip(False, "no address")
    assert await checks(kernel(None, {})).ip(None) == ip(None, "the system does not tell its addresses")


async def test_a_host_needs_a_route() -> None:
    there = kernel(BOTH, {"203.0.113.7": SIM})
    assert await checks(there).ip("203.0.113.7") == ip(True, "address 10.64.0.7")
    assert await checks(there).ip("203.0.113.8") == ip(False, "no route to 203.0.113.8")


async def test_a_cable_does_not_prove_the_profile() -> None:
    by_cable = kernel(BOTH, {}, default=OFFICE)
    assert (await checks(by_cable).ip("203.0.113.7")).ok is True
    assert await checks(by_cable, interface="wwan0").ip("203.0.113.7") == ip(
        False, "no route to 203.0.113.7 over wwan0"
    )
    assert await checks(by_cable, interface="wwan0", resolve=knows("203.0.113.7")).ip("eim.example") == ip(
        False, "no route to eim.example over wwan0"
    )
    only_cable = kernel(BOTH[:1], {}, default=OFFICE)
    assert await checks(only_cable, interface="wwan0").ip("203.0.113.7") == ip(False, "no address on wwan0")
    assert await checks(by_cable, interface="wwan1").ip("203.0.113.7") == ip(False, "no interface wwan1")
    unknown = kernel(None, {}, default=OFFICE)
    assert (await checks(unknown, interface="wwan0").ip("203.0.113.7")).ok is None


async def test_a_name_is_looked_up_only_when_the_default_route_does_not_settle_it() -> None:
    async def never(host: str) -> tuple[str, ...]:
        raise AssertionError("looked up")

    assert (await checks(kernel(BOTH, {}, default=SIM), interface="wwan0", resolve=never).ip("eim.example")).ok is True
    private = kernel(BOTH, {"10.0.0.1": SIM})
    found = await checks(private, interface="wwan0", resolve=knows("2001:db8::9", "10.0.0.1")).ip("eim.example")
    assert found == ip(True, "address 10.64.0.7 on wwan0")
    found = await checks(private, resolve=knows()).ip("eim.example")
    assert found == ip(False, "no default route, and eim.example cannot be resolved")


async def test_an_eim_on_this_machine_is_reached_without_any_address() -> None:
    bench = kernel((), {"127.0.0.1": LOOPBACK})
    assert (await checks(bench).ip("127.0.0.1")).ok is True
    assert (await checks(bench, resolve=knows("127.0.0.1")).ip("localhost")).ok is True


async def test_the_real_kernel_knows_a_way_to_this_machine() -> None:
    assert await checks().ip("127.0.0.1") == ip(True, "address 127.0.0.1")
    assert await checks(interface="no-such-if").ip("127.0.0.1") == ip(False, "no interface no-such-if")
    # Loopback is an interface that exists and has no address that counts.
    assert await checks(interface="lo").ip("127.0.0.1") == ip(False, "no address on lo")


# -- names -----------------------------------------------------------------------------------------------------------
async def test_an_address_needs_no_resolver() -> None:
    async def never(host: str) -> tuple[str, ...]:
        raise AssertionError("looked up")

    for host in ("203.0.113.7", "2001:db8::1", "fe80::1%wwan0"):
        assert await checks(resolve=never).dns(host) == Finding(Stage.DNS, True, f"{host} is an address")


async def test_a_name_has_an_address_or_the_finding_says_why_not() -> None:
    assert await checks(resolve=knows("203.0.113.7", "203.0.113.8")).dns("eim.example") == Finding(
        Stage.DNS, True, "eim.example is 203.0.113.7"
    )
    assert await checks(resolve=knows()).dns("eim.example") == Finding(
        Stage.DNS, False, "eim.example cannot be resolved: Name or service not known"
    )

    async def empty(host: str) -> tuple[str, ...]:
        return ()

    assert await checks(resolve=empty).dns("eim.example") == Finding(
        Stage.DNS, False, "eim.example cannot be resolved: no address"
    )


async def test_the_real_resolver_knows_this_machine_and_refuses_what_is_no_name() -> None:
    assert (await checks().dns("localhost")).ok is True
    for host in ("a..b", "x" * 64 + ".example"):
        assert (await checks().dns(host)).ok is False


def test_a_resolver_that_hangs_is_not_asked_twice_and_its_late_answer_counts() -> None:
    async def scene() -> None:
        asked: list[str] = []
        answer: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()

        async def slow(host: str) -> tuple[str, ...]:
            asked.append(host)
            return await answer

        resolver = Resolver(timeout_s=20, resolve=slow)
        for _ in range(3):
            found = await resolver.look("eim.example")
            assert found == Finding(Stage.DNS, False, "eim.example cannot be resolved: no answer in 20 s")
        assert asked == ["eim.example"]
        answer.set_result(("203.0.113.7",))
        assert (await resolver.look("eim.example")).ok is True
        assert (await resolver.look("eim.example")).ok is True
        assert asked == ["eim.example"] * 2  # nothing is remembered: the next network may tell another address

    run(scene())


def test_two_looks_at_a_time_share_one_question() -> None:
    async def scene() -> None:
        asked: list[str] = []

        async def slow(host: str) -> tuple[str, ...]:
            asked.append(host)
            await asyncio.sleep(5)
            raise NameUnknown("Try again")

        resolver = Resolver(timeout_s=20, resolve=slow)
        found = await asyncio.gather(resolver.look("eim.example"), resolver.look("eim.example"))
        assert [finding.ok for finding in found] == [False, False]
        assert asked == ["eim.example"]

    run(scene())


# -- the application -------------------------------------------------------------------------------------------------
def application(ok: bool | None, detail: str) -> Finding:
    return Finding(Stage.APPLICATION, ok, detail)


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[int]:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def test_nothing_configured_tells_nothing() -> None:
    assert await checks().application() == application(None, "nothing is configured")


async def test_a_connection_that_is_made_is_enough() -> None:
    async with server() as port:
        assert await checks(application=f"tcp://127.0.0.1:{port}").application() == application(
            True, "connected to 127.0.0.1"
        )
        assert (await checks(application=f"tcp://localhost:{port}").application()).ok is True
        # The connection went out, but not over the interface that counts.
        there = checks(kernel(BOTH, {}), interface="wwan0", application=f"tcp://127.0.0.1:{port}")
        assert await there.application() == application(
            False, "connected to 127.0.0.1, but not over wwan0 (from 127.0.0.1)"
        )
        there = checks(kernel((Owned(WWAN, LOOPBACK),), {}), interface="wwan0", application=f"tcp://127.0.0.1:{port}")
        assert (await there.application()).ok is True
    found = await checks(application=f"tcp://127.0.0.1:{port}").application()
    assert (found.ok, found.detail.partition(":")[0]) == (False, "no connection to 127.0.0.1")
    found = await checks(application="tcp://[::1]:1").application()
    assert (found.ok, found.detail.partition(": ")[0]) == (False, "no connection to ::1")


async def test_a_name_that_is_unknown_or_a_server_that_is_silent_is_no_success() -> None:
    found = await checks(application="tcp://mq.example:8883", resolve=knows()).application()
    assert found == application(False, "mq.example cannot be resolved: Name or service not known")
    # A listening socket whose queue is full takes no connection; nothing is answered, as behind a filter.
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket())
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(busy.getsockname())
        port = busy.getsockname()[1]
        found = await checks(application=f"tcp://127.0.0.1:{port}", timeout_s=0.2).application()
    assert found == application(False, "no connection to 127.0.0.1 in 0.2 s")


async def test_a_program_says_whether_the_application_gets_through(tmp_path: Path) -> None:
    path = script(tmp_path, "probe", 'echo "broker answers over ${IPAD_INTERFACE-anything}"')
    assert await checks(application=str(path)).application() == application(True, "probe: broker answers over anything")
    there = checks(kernel(BOTH, {}), interface="wwan0", application=str(path))
    assert (await there.application()).detail == "probe: broker answers over wwan0"
    path = script(tmp_path, "probe", "echo no broker; exit 1")
    assert await checks(application=str(path)).application() == application(False, "probe: no broker")
    path = script(tmp_path, "probe", "sleep 60")
    assert await checks(application=str(path), timeout_s=0.2).application() == application(
        False, "probe: did not answer in 0.2 s"
    )


@pytest.mark.parametrize("mode", [0o644, 0o777])
async def test_a_program_that_cannot_be_run_tells_nothing(tmp_path: Path, heard: Heard, mode: int) -> None:
    path = script(tmp_path, "probe", "true", mode=mode)
    assert await checks(application=str(path)).application() == application(None, f"{path} is not run")
    assert heard.ids() == ["IPA-1401"]
    path = script(tmp_path, "other", "true", shell="#!/nowhere\n")
    assert (await checks(application=str(path)).application()).ok is None
