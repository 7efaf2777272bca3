"""Stories about DTLS sessions that outlive something: the agent, the address of the device, the eIM; and the pin."""

from __future__ import annotations

from dataclasses import replace

from ipad_agent.lab.bench.agent_process import AgentEvent
from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import Fault, TlsIdentity
from ipad_agent.lab.euicc.es10 import eim_entries
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, check_nothing_left, quick
from ipad_agent.lab.scenarios.support.download_steps import poll_now

CONNECTED, REFUSED, RECONNECTING, NEXT_POLL, POLL_FAILED = "IPA-3001", "IPA-3002", "IPA-3003", "IPA-1003", "IPA-1005"
POLL_S = 20.0
RARELY: dict[str, Table] = {"poll": {"interval_s": 3600, "first_s": 0}}


async def _poll(run: Run, bench: Bench, name: str) -> AgentEvent:
    """One poll with a handshake; what the agent says of that one."""
    async with run.step(name) as step:
        bench.agent.skip()
        poll_now(bench)
        connected = await bench.agent.event(CONNECTED, deadline_s=POLL_S)
        await bench.agent.event(NO_MORE_WORK, deadline_s=POLL_S)
        await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)
        step.detail = connected.text
    return connected


async def _first_poll(run: Run, bench: Bench) -> None:
    async with run.step("the agent polls for the first time"):
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=POLL_S)
        await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)


async def _start_again(bench: Bench) -> None:
    """Until it waits for its next poll, which is far away."""
    bench.agent.skip()
    await bench.agent.start()
    await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)


def _is_resumed(run: Run, event: AgentEvent, name: str) -> None:
    run.check(name, "abbreviated handshake" in event.text, event.text)


@scenario(
    "resume-after-agent-restart",
    "Stopped or killed and started again, the agent resumes the session that it had, and judges the server again.",
    deadline_s=60,
)
async def resume_after_agent_restart(run: Run) -> None:
    """A boot empties the runtime folder: then the handshake is a full one."""
    async with run.bench(quick(provision="card", config=RARELY)) as bench:
        await _first_poll(run, bench)
        await bench.agent.terminate()
        await _start_again(bench)
        _is_resumed(run, await _poll(run, bench, "stopped and started, it polls"), "the session is resumed")
        await bench.agent.kill()
        await _start_again(bench)
        _is_resumed(run, await _poll(run, bench, "killed and started, it polls"), "the session is resumed again")
        check_nothing_left(run, bench)


@scenario(
    "pin-changed-while-resumable",
    "When the card names another key, a session made under the old one opens nothing any more.",
    deadline_s=60,
)
async def pin_changed_while_resumable(run: Run) -> None:
    """The factory corrects the card while the agent is stopped; the server stays as it was."""
    async with run.bench(quick(provision="card", tls_pin="leaf-spki", config=RARELY)) as bench:
        await _first_poll(run, bench)
        await bench.agent.terminate()
        other = bench.pki.variant("eim-tls-self", "foreign")
        changed = TlsIdentity(other.private_key, (other.certificate,))
        pin = replace(bench.identity, tls=changed).configuration(
            fqdn=None, id_type=None, counter=None, ask_for_token=False, signing="none", protocols=None
        )
        updated = eim_entries.update(bench.card.isdr, der.parse(pin))
        run.check("the card takes the other key", updated == 0, f"result {updated}")
        bench.card.isdr.commit()
        heard = len(bench.eim.bodies)
        bench.agent.skip()
        async with run.step("the server is not trusted any more") as step:
            await _start_again(bench)
            poll_now(bench)
            step.detail = (await bench.agent.event(REFUSED, deadline_s=POLL_S)).text
        run.check("it heard nothing", len(bench.eim.bodies) == heard)


@scenario(
    "psk-resumed", "A session with a pre-shared key is resumed, and that costs less than a new one.", deadline_s=60
)
async def psk_resumed(run: Run) -> None:
    """Counted on the wire, with the headers of IP and UDP."""
    async with run.bench(quick(provision="card", tls="psk", config=RARELY)) as bench:
        await _first_poll(run, bench)
        full = _on_the_wire(bench)
        _is_resumed(run, await _poll(run, bench, "it polls again"), "the session is resumed")
        resumed = _on_the_wire(bench) - full
        run.check("resumed is cheaper than in full", resumed < full, f"{resumed} and {full} bytes")


@scenario(
    "nat-rebinding",
    "A device that gets another address between two messages finds its eIM again by resuming, and nothing is lost.",
    deadline_s=60,
)
async def nat_rebinding(run: Run) -> None:
    """With a session that stays open between polls, so that there is one to lose."""
    coap: Table = {"keep_session": True, "nat_timeout_s": 3600, "ack_timeout_s": 0.1, "max_retransmit": 3}
    async with run.bench(quick(provision="card", config={**RARELY, "coap": coap})) as bench:
        await _first_poll(run, bench)
        before = len(bench.agent.said(CONNECTED))
        async with run.step("it polls on the open session"):
            bench.agent.skip()
            poll_now(bench)
            await bench.agent.event(NO_MORE_WORK, deadline_s=POLL_S)
            await bench.agent.event(NEXT_POLL, deadline_s=POLL_S)
        run.check("without a handshake", len(bench.agent.said(CONNECTED)) == before)
        bench.proxy.rebind()
        _is_resumed(run, await _poll(run, bench, "with another address it polls"), "the session is resumed")
        run.check("the old session was given up first", len(bench.agent.said(RECONNECTING)) == 1)
        check_nothing_left(run, bench)


@scenario(
    "eim-restart", "An eIM that was started anew and knows no session is polled with a full handshake.", deadline_s=60
)
async def eim_restart(run: Run) -> None:
    """Once quietly between two polls, so that the client finds out by itself."""
    async with run.bench(quick(provision="card", config=RARELY)) as bench:
        await _first_poll(run, bench)
        bench.server.restart_quietly()
        event = await _poll(run, bench, "it polls the new eIM")
        run.check("with a full handshake", "full handshake" in event.text, event.text)
        _is_resumed(run, await _poll(run, bench, "it polls again"), "the new session is resumed")
        check_nothing_left(run, bench)


@scenario(
    "retry-after", "An eIM that asks to come back later is left alone for so long, and asked again then.", deadline_s=60
)
async def retry_after(run: Run) -> None:
    """5.03 with Max-Age (RFC 7252 §5.9.3.4)."""
    async with run.bench(quick(provision="card", config=RARELY)) as bench:
        await _first_poll(run, bench)
        bench.eim.eim.faults.arm(Fault("get", "busy", 2))
        bench.agent.skip()
        async with run.step("the eIM is busy for two seconds") as step:
            poll_now(bench)
            busy = await bench.agent.event(POLL_FAILED, deadline_s=POLL_S)
            step.detail = busy.text
        async with run.step("it is asked again by itself"):
            again = await bench.agent.event(NO_MORE_WORK, deadline_s=POLL_S)
        waited_s = (again.t_s or 0.0) - (busy.t_s or 0.0)
        run.check("not sooner", waited_s >= 1.9, f"{waited_s:.1f} s")
        check_nothing_left(run, bench)


def _on_the_wire(bench: Bench) -> int:
    counters = bench.proxy.link.counters.values()
    return sum(one.delivered_bytes + 28 * one.delivered for one in counters)
