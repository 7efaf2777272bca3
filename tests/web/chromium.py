"""A headless Chromium at the other end of WebDriver (W3C): JSON over HTTP to chromedriver, nothing to install for it
but the browser itself."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

START_S: Final = 60.0
ANSWER_S: Final = 60.0
LOOK_S: Final = 0.1


class Chromium:
    """One window."""

    def __init__(self, driver: str, session: str) -> None:
        self._session = f"{driver}/session/{session}"

    async def open(self, url: str) -> None:
        await self._post("url", {"url": url})

    async def run(self, script: str, *arguments: object) -> Any:
        """What the body of a function returns in the page."""
        return await self._post("execute/sync", {"script": script, "args": list(arguments)})

    async def text(self, selector: str = "body") -> str:
        """What a person sees of the first element; nothing when there is none."""
        found = await self.run("return document.querySelector(arguments[0])?.innerText || '';", selector)
        return str(found)

    async def click(self, selector: str) -> None:
        await self.run("document.querySelector(arguments[0]).click();", selector)

    async def until(self, is_so: Callable[[str], bool], what: str, *, selector: str = "body", limit_s: float) -> str:
        """The text of an element once it is as wanted; fails with what there was instead."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + limit_s
        while not is_so(text := await self.text(selector)):
            assert loop.time() < end_s, f"not within {limit_s} s: {what}; the page says:\n{await self.text()}"
            await asyncio.sleep(LOOK_S)
        return text

    async def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self._cdp("Emulation.setDeviceMetricsOverride", metrics)

    async def dark(self, dark: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._cdp("Emulation.setEmulatedMedia", {"features": [feature]})

    async def picture(self, path: Path, *, at: str, height: int) -> None:
        """The page from an element on as PNG, at most so high."""
        measure = (
            "const page = document.documentElement;"
            "const top = document.querySelector(arguments[0]).getBoundingClientRect().top;"
            "return [page.clientWidth, page.scrollHeight, Math.max(top + scrollY - 8, 0)];"
        )
        wide, high, top = await self.run(measure, at)
        clip = {"x": 0, "y": top, "width": wide, "height": min(high - top, height), "scale": 1}
        wanted = {"format": "png", "captureBeyondViewport": True, "clip": clip, "optimizeForSpeed": False}
        found = await self._cdp("Page.captureScreenshot", wanted)
        await asyncio.to_thread(_write, path, base64.b64decode(found["data"]))

    async def complaints(self) -> list[str]:
        """What the browser had to complain about: errors of scripts, what the content policy stopped, missing files."""
        found = await self._post("se/log", {"type": "browser"})
        return [entry["message"] for entry in found if entry["level"] in ("SEVERE", "WARNING")]

    async def end(self) -> None:
        await _request("DELETE", self._session, None)

    async def _post(self, what: str, body: dict[str, Any]) -> Any:
        return await _request("POST", f"{self._session}/{what}", body)

    async def _cdp(self, command: str, parameters: dict[str, Any]) -> Any:
        return await self._post("goog/cdp/execute", {"cmd": command, "params": parameters})


@asynccontextmanager
async def chromium(folder: Path, hosts: Sequence[str] = ()) -> AsyncIterator[Chromium]:
    """A browser with nothing in it, at home in ``folder``; ``hosts`` are names that it takes for this machine."""
    program = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert program is not None, "make test-web installs it: apt-get install chromium chromium-driver"
    assert browser is not None, "make test-web installs it: apt-get install chromium chromium-driver"
    driver = await asyncio.create_subprocess_exec(
        program, "--port=0", stdout=asyncio.subprocess.PIPE, env=os.environ | {"HOME": str(folder)}
    )
    assert driver.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            while not (found := re.search(rb"successfully on port (\d+)", await driver.stdout.readline())):
                assert driver.returncode is None
        address = f"http://127.0.0.1:{int(found[1])}"
        arguments = ["--headless=new", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder / 'browser'}"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        arguments += [f"--host-resolver-rules={', '.join(f'MAP {host} 127.0.0.1' for host in hosts)}"] if hosts else []
        wanted = {"binary": browser, "args": arguments}
        always = {"goog:chromeOptions": wanted, "goog:loggingPrefs": {"browser": "ALL"}}
        made = await _request("POST", f"{address}/session", {"capabilities": {"alwaysMatch": always}})
        window = Chromium(address, made["sessionId"])
        try:
            yield window
        finally:
            await window.end()
    finally:
        driver.terminate()
        await driver.wait()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


async def _request(method: str, url: str, body: dict[str, Any] | None) -> Any:
    def ask() -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.read().decode(errors='replace')[:2000]}") from None

    return await asyncio.to_thread(ask)
