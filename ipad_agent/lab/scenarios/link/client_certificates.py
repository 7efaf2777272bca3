"""Stories about an eIM that wants to see who the device is (RFC 5246 §7.4.4), over both carriers."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, check_nothing_left, play, quick

POLL_FAILED = "IPA-1005"
WITHOUT: dict[str, Table] = {"eim": {"client_certificate": None, "client_key_file": None}}


@scenario(
    "client-certificate-coaps",
    "An eIM that asks for a client certificate over CoAP is told about, and served once the device has one.",
    deadline_s=60,
)
async def over_coaps(run: Run) -> None:
    """The configuration gets certificate and key between two starts of the agent."""
    await _without_then_with(run, "coaps")


@scenario(
    "client-certificate-https",
    "An eIM that asks for a client certificate over HTTPS is told about, and served once the device has one.",
    deadline_s=60,
)
async def over_https(run: Run) -> None:
    """In TLS 1.3 the server says so only after the handshake."""
    await _without_then_with(run, "https")


async def _without_then_with(run: Run, carrier: str) -> None:
    options = quick(provision="card", carrier=carrier, client_certificate="required", config=WITHOUT)
    async with run.bench(options) as bench:
        await bench.agent.start()
        async with run.step("without a certificate the poll fails, and the reason is told") as step:
            event = await bench.agent.event(
                POLL_FAILED, deadline_s=30, where=lambda one: "none is configured" in one.text
            )
            step.detail = event.text
        run.check("the eIM saw no request", not bench.eim.bodies)
        await bench.agent.terminate()
        _give(bench)
        await bench.agent.start()
        await play(
            run,
            bench,
            [case("list-profiles", "listProfileInfo ok"), case(f"enable {OPERATOR_A}", "enable ok")],
        )
        check_enabled(run, bench, OPERATOR_A)
        check_nothing_left(run, bench)
        key = bench.device_certificate.key_path.read_text().splitlines()[1]
        run.check("the key is in no line of the log", key not in (bench.folder / "agent.log").read_text())


def _give(bench: Bench) -> None:
    own, config = bench.device_certificate, bench.folder / "agent.toml"
    keys = f'client_certificate = "{own.certificate_path}"\nclient_key_file = "{own.key_path}"\n'
    config.write_text(config.read_text().replace("[[eim]]\n", "[[eim]]\n" + keys))
