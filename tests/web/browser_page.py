"""The page in a real browser while the real agent works in the lab: ``make test-web``.

Not a part of ``make test``, which must not need a browser. The pictures go to the folder that ``SHOTS`` names;
``make test-web SHOTS=docs/images`` renews those of the documents.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ipad_agent.cli.ipactl.output.value_texts import size, span
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer, RspOptions
from ipad_agent.lab.scenarios.support.common_steps import quick

from .chromium import Chromium, chromium
from .conftest import HOSTILE, Agent
from .web_process import TOKEN, WebPage, web

SHOTS = Path(os.environ.get("SHOTS", ".test/web"))
NEW = Offer(name="Operator New", size_bytes=40_000)
LIMIT_S = 90.0
WIDTHS = (360, 1280)
ATTACKER = "eim.attacker.example"
SLOW_BAUD = 115_200
"""So slow that the eye, and a picture, can follow a download."""


def options() -> BenchOptions:
    """The new profile has no network here, so that a switch to it has to be taken back."""
    return quick(
        "eg25",
        baud=SLOW_BAUD,
        provision="card",
        cells={NEW.iccid: None},
        rsp=RspOptions(offers=(NEW,), relay="https"),
        config={
            "switch": {"confirm_s": 12, "registration_s": 6, "ip_s": 1, "dns_s": 1, "eim_s": 2},
            "poll": {"interval_s": 3600, "fast_phase_s": 0},
        },
    )


@asynccontextmanager
async def device(tmp_path: Path) -> AsyncIterator[tuple[Bench, WebPage, Chromium]]:
    async with Bench(options()) as bench:
        socket = bench.folder / "agent-run" / "io.github.ipadagent"
        async with web(socket, tmp_path) as page, chromium(tmp_path) as browser:
            yield bench, page, browser


async def pictures(browser: Chromium, name: str, *, at: str = "body") -> None:
    """The page from an element on, on a telephone and on a desk."""
    for width in WIDTHS:
        await browser.size(width, 800)
        assert await browser.run("return document.documentElement.scrollWidth <= innerWidth;"), "it can be moved aside"
        height = 1500 if width < 600 else 1000
        await browser.picture(SHOTS / f"web-{name}-{width}.png", at=at, height=height)


async def test_a_download_and_a_rollback_are_seen_live(tmp_path: Path) -> None:
    async with device(tmp_path) as (bench, page, browser):
        await browser.size(360, 800)
        await browser.open(f"{page.url}/#token={TOKEN}")
        await browser.until(lambda text: "The agent is not running" in text, "word that it is not", limit_s=LIMIT_S)
        assert await browser.run("return location.href;") == f"{page.url}/", "the token is out of the address"
        await bench.agent.start()
        await browser.until(lambda text: "● ready" in text, "a first status", selector="#verdict", limit_s=LIMIT_S)
        bench.order("trigger", bench.rsp.code(NEW))
        bench.order("enable", NEW.iccid, "--rollback")
        poll(bench)
        await browser.until(lambda text: "%" in text, "how far the download is", selector="#operation", limit_s=LIMIT_S)
        await browser.until(half, "the middle of it", selector="#operation", limit_s=LIMIT_S)
        await pictures(browser, "download")
        await browser.until(lambda text: "switching" in text, "the switch", selector="#verdict", limit_s=LIMIT_S)
        await browser.until(lambda text: "✗ network" in text, "what is missing", selector="#change", limit_s=LIMIT_S)
        await pictures(browser, "switch")
        await browser.until(lambda text: "✗ rolled-back" in text, "the way back", selector="#verdict", limit_s=LIMIT_S)
        await browser.until(lambda text: "Nothing: everything" in text, "the report", selector="#owed", limit_s=LIMIT_S)
        await browser.until(lambda text: NEW.name in text, "the new profile", selector="#profiles", limit_s=LIMIT_S)
        await pictures(browser, "rolled-back")
        assert bench.card.enabled_iccid != NEW.iccid
        assert NEW.iccid in bench.card.profile_states()
        seen = await browser.text("#events")
        assert "rolled back" in seen or "rollback" in seen
        await browser.click("#examine")
        await browser.until(lambda text: "again" in text, "the doctor's end", selector="#examine", limit_s=LIMIT_S)
        assert "eim.example" in await browser.text("#findings") or "eIM" in await browser.text("#findings")
        await pictures(browser, "doctor", at="#doctor")
        await browser.click("#bundle")
        await arrived(tmp_path)
        assert await browser.text("#bundle-trouble") == ""
        await browser.dark(True)
        await pictures(browser, "dark")
        assert await browser.complaints() == []


def half(text: str) -> bool:
    """Whether a percentage of the middle stands in it."""
    found = re.search(r"(\d+)\s%", text)
    return found is not None and 20 <= int(found[1]) < 95


def poll(bench: Bench) -> None:
    assert bench.agent.pid is not None
    os.kill(bench.agent.pid, signal.SIGUSR1)


async def arrived(folder: Path) -> None:
    """The bundle is in the folder of downloads and is one."""
    async with asyncio.timeout(LIMIT_S):
        while not (found := downloads(folder)):  # noqa: ASYNC110 - a file tells nobody that it is there
            await asyncio.sleep(0.1)
    with tarfile.open(found[0]) as bundle:
        assert any(name.endswith("README.txt") for name in bundle.getnames())


def downloads(folder: Path) -> list[Path]:
    return list(folder.rglob("ipad-agent-*.tar.gz"))


async def test_times_and_sizes_are_said_as_ipactl_says_them(agent: Agent, tmp_path: Path) -> None:
    seconds = [0, 1, 59, 60, 61, 599, 600, 3599, 3600, 11_040, 172_799, 172_800, 863_999, 864_000, 9_999_999]
    sizes = [0, 999, 1000, 9_949, 9_950, 99_999, 999_499, 999_500, 2_000_000, 12_345_678, 10**10]
    async with web(agent.path, tmp_path) as page, chromium(tmp_path) as browser:
        await browser.open(page.url)
        assert await browser.run("return arguments[0].map(span);", seconds) == [span(value) for value in seconds]
        assert await browser.run("return arguments[0].map(size);", sizes) == [size(value) for value in sizes]


async def test_what_a_server_calls_itself_is_text_and_nothing_else(agent: Agent, tmp_path: Path) -> None:
    """Neither by its markup nor by leading a browser here under a name of its own."""
    agent.name_the_eim(HOSTILE)
    async with web(agent.path, tmp_path) as page, chromium(tmp_path, hosts=[ATTACKER]) as browser:
        await browser.open(f"{page.url}/#token={TOKEN}")
        await browser.until(lambda text: HOSTILE in text, "the name as it is", selector="#managers", limit_s=LIMIT_S)
        assert await browser.run("return document.querySelectorAll('main img').length;") == 0
        assert await browser.run("return document.title;") != "1"
        refused = await browser.run(
            "try { document.body.innerHTML = '<b>x</b>'; return ''; } catch (error) { return error.name; }"
        )
        assert refused == "TypeError", "the policy lets no text become markup"
        await browser.complaints()
        await browser.open(f"http://{ATTACKER}:{page.port}/")
        assert "another name" in await browser.text()
        await browser.open(page.url)
        await browser.until(lambda text: "● ready" in text, "the cookie is kept", selector="#verdict", limit_s=LIMIT_S)
        await browser.click("#logout")
        await browser.until(lambda text: "Token of this device" in text, "the form", limit_s=LIMIT_S)
        await browser.run("document.querySelector('#token').value = 'wrong'; document.forms[0].requestSubmit();")
        await browser.until(lambda text: "not the token" in text, "a refusal", limit_s=LIMIT_S)
        await browser.run(f"document.querySelector('#token').value = '{TOKEN}'; document.forms[0].requestSubmit();")
        await browser.until(lambda text: "● ready" in text, "the page", selector="#verdict", limit_s=LIMIT_S)
