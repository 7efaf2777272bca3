"""The page for LuCI in a headless Chromium, with the runtime of ``luci_runtime.js`` around it: ``make test-luci``.

Not named ``test_…`` because a machine for ``make test`` has no browser. What the page is shown is made by the agent's
own model, so a member that is renamed there is noticed here.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.local.status_model import Happening, Status, to_plain
from ipad_agent.openwrt.rpcd_object import METHODS
from situations import SITUATIONS

ROOT = Path(__file__).parents[2]
APP = ROOT / "packaging" / "openwrt" / "luci-app-ipad-agent"
VIEW = APP / "htdocs/luci-static/resources/view/ipad-agent/overview.js"
RUNTIME = Path(__file__).parent / "luci_runtime.js"
PICTURES = os.environ.get("IPAD_PICTURES")
"""A folder for a picture of each situation, to be looked at."""

HISTORY: list[dict[str, Any]] = [
    {"kind": "order", "what": "enable …0027", "by": "eim", "outcome": "done", "at": {"at_s": 1, "age_s": 7300.0},
     "clock_set": True, "duration_s": 31.0, "reason": None, "eim_id": "eim.example.net", "previous": None,
     "target": None, "times": 1},
    {"kind": "reset", "what": "card reset", "by": "device", "outcome": "failed", "at": None, "clock_set": False,
     "duration_s": None, "reason": "no answer", "eim_id": None, "previous": None, "target": None, "times": 3},
]  # fmt: skip
EVENTS = [to_plain(Happening("IPA-4011", "info", "The poll ended.", 1, ()))]
UNKNOWN_METHOD = {"error": {"name": "MethodNotFound", "sentence": "The running agent does not know this.", "hint": ""}}
NOT_RUNNING = {
    "error": {"name": "NotRunning", "sentence": "The agent is not running.", "hint": "/etc/init.d/ipad-agent start"}
}

STYLE = """body{font:14px sans-serif;margin:1em;max-width:64em}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #ddd;padding:4px 8px;text-align:left;vertical-align:top}.right{text-align:right}
.label{background:#888;color:#fff;border-radius:3px;padding:1px 6px}.success{background:#2a2}.danger{background:#c33}
.warning{background:#e90}.notice{background:#36c}.alert-message{color:#fff;background:#777;padding:4px 8px;margin:4px 0}
.alert-message.danger{background:#c33}.alert-message.warning{background:#b70}"""

Page = Callable[..., dict[str, Any]]


def answers_for(status: Status, **more: Any) -> dict[str, Any]:
    return {"status": {"status": to_plain(status)}, "history": {"history": HISTORY}, **more}


@pytest.fixture
def page(tmp_path: Path) -> Page:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert browser is not None, "a Chromium is needed: make test-luci installs it on Debian"

    def shown(answers: dict[str, Any], script: str = "", *, write: bool = True, picture: str = "") -> dict[str, Any]:
        """Open the page with these answers, run the script, and return what it put into ``found``."""
        document = f"""<!doctype html><meta charset="utf-8"><style>{STYLE}</style>
        <div id="notifications"></div><div id="modal"></div><div id="view"></div><pre id="result" hidden></pre>
        <script>{RUNTIME.read_text()}</script><script>
        const refused = (sentence) => new Error(sentence);
        answers = {_script_text(answers)};
        mayWrite = {json.dumps(write)};
        (async () => {{
            const found = {{}};
            try {{
                await open({_script_text(VIEW.read_text())});
                {script}
                found.text = document.querySelector('#view').innerText;
            }} catch (error) {{ found.failed = `${{error.stack || error}}`; }}
            found.calls = calls;
            document.querySelector('#result').textContent = JSON.stringify(found);
        }})();
        </script>"""
        file = tmp_path / "page.html"
        file.write_text(document, encoding="utf-8")
        command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=900,1100"]
        if PICTURES and picture:
            path = Path(PICTURES) / f"{picture}.png"
            subprocess.run([*command, f"--screenshot={path}", file.as_uri()], capture_output=True, check=True)
        run = subprocess.run([*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, check=True)
        result = re.search(r'<pre id="result" hidden="">(.*?)</pre>', run.stdout, re.DOTALL)
        assert result is not None, run.stdout[-2000:]
        found: dict[str, Any] = json.loads(html.unescape(result[1]))
        assert "failed" not in found, found["failed"]
        return found

    return shown


def _script_text(value: object) -> str:
    """A value for a script in a page; nothing in it can end the script."""
    return json.dumps(value).replace("<", "\\u003c")


def test_every_situation_of_the_agent_is_shown_without_a_gap(page: Page) -> None:
    plain = {name: to_plain(status) for name, status in SITUATIONS.items()}
    script = f"""
    found.situations = {{}};
    for (const [ name, status ] of Object.entries({_script_text(plain)})) {{
        answers.status = {{ status }};
        await tick();
        found.situations[name] = document.querySelector('#view').innerText;
    }}
    """
    shown = page(answers_for(SITUATIONS["ready"]), script)["situations"]
    assert set(shown) == set(SITUATIONS)
    for name, status in SITUATIONS.items():
        text = shown[name]
        assert status.verdict.sentence in text
        assert status.verdict.state in text
        assert all(profile.iccid in text for profile in status.profiles)
        assert all(eim.eim_id in text for eim in status.eims)
        assert all(warning.sentence in text for warning in status.warnings)
        assert not re.search(r"\b(null|undefined|NaN)\b|\[object", text), name


@pytest.mark.parametrize("name", ["ready", "switch-armed", "eim-unreachable"])
def test_the_page_can_be_looked_at(page: Page, name: str) -> None:
    assert page(answers_for(SITUATIONS[name]), picture=name)["text"].startswith("eSIM")


def test_the_history_is_shown_newest_first(page: Page) -> None:
    text = page(answers_for(SITUATIONS["ready"]))["text"]
    assert text.index("card reset (3 ×)") < text.index("enable …0027")
    assert "eim, eim.example.net" in text
    assert "failed: no answer" in text


def test_an_agent_without_a_history_shows_its_last_messages(page: Page) -> None:
    answers = answers_for(SITUATIONS["ready"], history=UNKNOWN_METHOD, events={"events": EVENTS})
    text = page(answers)["text"]
    assert "keeps no history" in text
    assert "The poll ended." in text


def test_a_history_that_cannot_be_had_is_not_shown_as_none(page: Page) -> None:
    busy = {"error": {"name": "Busy", "sentence": "You ask too often.", "hint": "Later."}}
    for answer, sentence in (
        (busy, "You ask too often."),
        ({"history": None}, "cannot be read"),
        ({}, "cannot be read"),
    ):
        text = page(answers_for(SITUATIONS["ready"], history=answer))["text"]
        assert sentence in text
        assert "Nothing was done" not in text


def test_names_that_are_markup_stay_text(page: Page) -> None:
    evil = "<img src=x onerror='window.harmed = true'>"
    status = SITUATIONS["ready"]
    status = replace(
        status,
        profiles=tuple(replace(profile, name=evil, nickname=None, provider=evil) for profile in status.profiles),
        eims=tuple(replace(eim, eim_id=evil, host=evil, trouble=evil) for eim in status.eims),
        verdict=replace(status.verdict, sentence=evil, next=evil, advice=evil),
    )
    entry = {**HISTORY[0], "what": evil, "reason": evil}
    script = "await settle(); found.images = document.images.length; found.harmed = !!window.harmed;"
    found = page(answers_for(status, history={"history": [entry]}), script)
    assert (found["images"], found["harmed"]) == (0, False)
    assert found["text"].count(evil) >= 6


def test_an_agent_that_does_not_run_is_said_so_and_the_page_recovers_by_itself(page: Page) -> None:
    answers = answers_for(SITUATIONS["ready"])
    answers["status"] = [NOT_RUNNING, answers["status"]]
    found = page(answers, "found.before = document.querySelector('#view').innerText; await tick();")
    assert "The agent is not running." in found["before"]
    assert "/etc/init.d/ipad-agent start" in found["before"]
    assert "Profiles" not in found["before"]
    assert SITUATIONS["ready"].verdict.sentence in found["text"]


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": "text"}, None])
def test_an_answer_that_cannot_be_read_is_said_so(page: Page, answer: Any) -> None:
    found = page({"status": answer, "history": {"history": []}})
    assert "cannot be read" in found["text"]


def test_a_call_that_rpcd_refuses_is_said_so(page: Page) -> None:
    found = page({"history": {"history": []}}, "")
    assert "ipad/status: no such method" in found["text"]


def test_an_eim_is_asked_when_its_button_is_pressed(page: Page) -> None:
    status = SITUATIONS["ready"]
    script = "await press('Ask now'); found.said = text('#notifications > div');"
    found = page(answers_for(status, poll={}), script)
    assert {"object": "ipad", "method": "poll", "given": {"eim_id": status.eims[0].eim_id}} in found["calls"]
    assert "has begun" in found["said"][0]


def test_what_the_agent_refuses_is_shown_in_its_own_words(page: Page) -> None:
    refusal = {"error": {"name": "Busy", "sentence": "Something else is going on.", "hint": "Try again later."}}
    script = "await press('Ask now'); found.said = text('#notifications > .danger');"
    found = page(answers_for(SITUATIONS["ready"], poll=refusal), script)
    assert found["said"] == ["Something else is going on. Try again later."]


def _proving() -> Status:
    return next(s for s in SITUATIONS.values() if s.switch is not None and s.switch.ended is None and s.switch.stages)


def test_going_back_is_asked_about_first_and_then_done_once(page: Page) -> None:
    script = """
    await press('Go back now');
    found.asked = calls.filter((call) => call.method == 'rollback').length;
    found.question = document.querySelector('#modal').innerText;
    await press('Go back now', '#modal');
    found.modal = document.querySelector('#modal').innerText;
    """
    found = page(answers_for(_proving(), rollback={}), script)
    assert found["asked"] == 0
    assert "Go back to the profile before?" in found["question"]
    assert [call["method"] for call in found["calls"]].count("rollback") == 1
    assert found["modal"] == ""


def test_no_switch_under_way_has_no_such_buttons(page: Page) -> None:
    found = page(answers_for(SITUATIONS["ready"]), "found.buttons = text('#view button');")
    assert set(found["buttons"]) == {"Ask now"}


def test_whoever_may_only_read_cannot_press_anything(page: Page) -> None:
    script = "found.open = [...document.querySelectorAll('#view button')].filter((b) => !b.disabled).length;"
    assert page(answers_for(_proving()), script, write=False)["open"] == 0
    assert page(answers_for(_proving()), script, write=True)["open"] >= 3


def test_the_page_asks_for_nothing_that_its_rights_do_not_name() -> None:
    (rights,) = json.loads((APP / "root/usr/share/rpcd/acl.d/luci-app-ipad-agent.json").read_text()).values()
    allowed = set(rights["read"]["ubus"]["ipad"]) | set(rights["write"]["ubus"]["ipad"])
    declared = re.findall(r"method: '(\w+)'(?:, params: \[ ([^\]]*) \])?", VIEW.read_text())
    assert len(declared) == VIEW.read_text().count("rpc.declare")
    for method, parameters in declared:
        assert method in allowed
        assert set(re.findall(r"\w+", parameters)) <= set(METHODS[method].takes)


def test_the_menu_leads_to_the_page_and_needs_its_rights() -> None:
    (entry,) = json.loads((APP / "root/usr/share/luci/menu.d/luci-app-ipad-agent.json").read_text()).values()
    assert VIEW.as_posix().endswith(f"view/{entry['action']['path']}.js")
    assert entry["depends"]["acl"] == ["luci-app-ipad-agent"]
