"""The page's server: who is let in, what is told, and what every answer carries."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from pathlib import Path

import pytest

from ipad_agent.local.status_model import to_plain
from ipad_agent.local.varlink import client_connection, varlink_interface
from ipad_agent.local.varlink.peer_credentials import Right
from ipad_agent.web import agent_connection, doctor_runs, live_updates, page_requests
from ipad_agent.web.agent_connection import AgentConnection
from ipad_agent.web.page_response import FILES
from ipad_agent.web.web_access import COOKIE, COOKIE_S, Peer, WebAccess
from situations import DOCTOR, HAPPENINGS, HISTORY, SITUATIONS

from .conftest import HOSTILE, Agent
from .web_process import TOKEN, WebPage, page_here, until

GUARDED = [
    ("GET", "/api/status"),
    ("GET", "/api/live"),
    ("GET", "/api/events"),
    ("GET", "/api/history"),
    ("GET", "/api/explain?id=IPA-1001"),
    ("GET", "/api/bundle"),
    ("POST", "/api/doctor"),
]
REMOTE = Peer("192.0.2.7", "192.0.2.1")
HERE = Peer("127.0.0.1", "127.0.0.1")


@pytest.fixture(autouse=True)
def _no_pause_after_a_wrong_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_requests, "WRONG_TOKEN_S", 0.0)


# -- who is let in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_without_the_token_nothing_is_told_and_nothing_asked(
    agent: Agent, page: WebPage, method: str, path: str
) -> None:
    for shown in ("", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x"):
        answer = await page.ask(path, method=method, body={}, headers={"Authorization": shown})
        assert (answer.status, answer.json["error"]["name"]) == (401, "SignIn")
    assert agent.asked == []
    assert agent.listeners == 0


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_every_guarded_path_is_one_of_the_server(method: str, path: str) -> None:
    made = page_requests.PageRequests(WebAccess(TOKEN), AgentConnection("nowhere"))
    assert (method, path.partition("?")[0]) in made._guarded
    assert len(made._guarded) == len(GUARDED)


async def test_a_token_in_the_address_opens_nothing(page: WebPage) -> None:
    answer = await page.ask(f"/api/status?token={TOKEN}", headers={"Authorization": ""})
    assert answer.status == 401


async def test_signing_in_gives_a_cookie_that_only_this_page_gets_back(agent: Agent, page: WebPage) -> None:
    answer = await page.ask("/api/login", method="POST", body={"token": TOKEN}, headers={"Authorization": ""})
    assert answer.status == 204
    name, *rest = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={COOKIE_S}"} <= set(rest)
    assert TOKEN not in name
    shown = {"Authorization": "", "Cookie": f"other=1; {name}"}
    assert (await page.ask("/api/status", headers=shown)).status == 200
    shown["Cookie"] = name[:-1] + ("0" if name[-1] != "0" else "1")
    assert (await page.ask("/api/status", headers=shown)).status == 401


@pytest.mark.parametrize("body", [{"token": "wrong"}, {"token": 1}, {}, [], "x", {"token": TOKEN * 9}])
async def test_what_is_not_the_token_gives_no_cookie(page: WebPage, body: object) -> None:
    answer = await page.ask("/api/login", method="POST", body=body, headers={"Authorization": ""})
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


async def test_the_cookie_is_for_https_only_where_a_proxy_speaks_https(page: WebPage) -> None:
    wanted = {"X-Forwarded-Proto": "https"}
    answer = await page.ask("/api/login", method="POST", body={"token": TOKEN}, headers=wanted)
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_a_cookie_ends_with_its_time_and_with_its_token() -> None:
    access = WebAccess(TOKEN)
    cookie = {"cookie": f"{COOKIE}={access.session(1000.0)}"}
    assert access.lets_in(cookie, HERE, 1000.0 + COOKIE_S - 1)
    assert not access.lets_in(cookie, HERE, 1000.0 + COOKIE_S)
    assert not WebAccess(TOKEN[::-1]).lets_in(cookie, HERE, 1000.0)
    assert not WebAccess(None).lets_in({"cookie": f"{COOKIE}={WebAccess(None).session(1000.0)}"}, HERE, 1000.0)
    until, _, proof = access.session(1000.0).partition(".")
    later = {"cookie": f"{COOKIE}={int(until) + 1}.{proof}"}
    assert not access.lets_in(later, HERE, 1000.0)


def test_the_header_of_a_proxy_is_believed_of_this_machine_alone_and_only_when_wanted() -> None:
    header = {"x-remote-user": "anna"}
    wanted = WebAccess(TOKEN, "X-Remote-User")
    assert wanted.lets_in(header, HERE, 0.0)
    assert wanted.lets_in(header, Peer(), 0.0), "a Unix socket"
    assert not wanted.lets_in(header, REMOTE, 0.0)
    assert not wanted.lets_in({"x-remote-user": " "}, HERE, 0.0)
    assert not WebAccess(TOKEN).lets_in(header, HERE, 0.0)


async def test_wrong_tokens_are_in_the_log_without_themselves_and_once(
    page: WebPage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await page.ask("/api/status", headers={"Authorization": "Bearer geheim-geheim-geheim"})
        await page.ask("/api/login", method="POST", body={"token": "geheim-geheim-geheim"})
    assert caplog.text.count("Somebody at 127.0.0.1 showed a wrong token.") == 1
    assert "geheim" not in caplog.text


# -- foreign sites -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "", "localhost.evil", "[::2]"])
@pytest.mark.parametrize("path", ["/", "/api/status"])
async def test_a_name_that_was_made_to_lead_here_gets_nothing(
    agent: Agent, page: WebPage, host: str, path: str
) -> None:
    answer = await page.ask(path, headers={"Host": host or " "})
    assert answer.status in (400, 421)
    assert agent.asked == []


async def test_the_page_is_known_by_its_own_names(agent: Agent) -> None:
    async with page_here(agent.path, WebAccess(TOKEN, None, frozenset({"gateway.example"}))) as page:
        for host in ("localhost", "LOCALHOST:9000", f"127.0.0.1:{page.port}", "[::1]:8632", "Gateway.Example.:443"):
            assert (await page.ask("/api/status", headers={"Host": host})).status == 200, host


def test_the_address_at_which_it_is_reached_is_a_name_too() -> None:
    access = WebAccess(TOKEN)
    assert access.knows_host("192.0.2.1:8632", REMOTE)
    assert not access.knows_host("192.0.2.2:8632", REMOTE)
    assert not access.knows_host("192.0.2.1", Peer()), "behind a Unix socket there is no address"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
async def test_what_another_site_sends_is_refused(agent: Agent, page: WebPage, headers: dict[str, str]) -> None:
    for path in ("/api/doctor", "/api/login"):
        assert (await page.ask(path, method="POST", body={"token": TOKEN}, headers=headers)).status == 403
    assert agent.asked == []
    own = {"Origin": page.url, "Sec-Fetch-Site": "same-origin"}
    assert (await page.ask("/api/doctor", method="POST", body={}, headers=own)).status == 200


# -- what every answer carries -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*FILES, "/api/status", "/api/nothing", "/nothing", "/api/bundle", "/../secret"])
async def test_every_answer_lets_the_browser_do_as_little_as_possible(page: WebPage, path: str) -> None:
    headers = (await page.ask(path)).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert "unsafe" not in headers["content-security-policy"]
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == ("no-cache" if path in FILES else "no-store")


async def test_the_page_comes_once_and_then_from_the_browsers_own_memory(page: WebPage) -> None:
    for path in FILES:
        first = await page.ask(path, headers={"Authorization": ""})
        assert (first.status, bool(first.body)) == (200, True)
        again = await page.ask(path, headers={"If-None-Match": f'"x", {first.headers["etag"]}'})
        assert (again.status, again.body) == (304, b"")
        head = await page.ask(path, method="HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(first.body)))


async def test_the_page_brings_all_it_needs_and_nothing_inline(page: WebPage) -> None:
    html = (await page.ask("/")).body.decode()
    script = (await page.ask("/status_page.js")).body.decode()
    style = (await page.ask("/status_page.css")).body.decode()
    assert set(re.findall(r'(?:src|href)="([^"]+)"', html)) == set(FILES) - {"/"}
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", html)
    assert not re.search(r"https?://|//\w|@import|url\(", html + style)
    assert "://" not in script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", script)


async def test_what_is_not_there_and_what_cannot_be_done(page: WebPage) -> None:
    assert (await page.ask("/api/rollback", method="POST", body={})).status == 404
    answer = await page.ask("/api/status", method="POST", body={})
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert (await page.ask("/", method="DELETE")).status == 405


# -- what is told ------------------------------------------------------------------------------------------------------


async def test_a_status_as_the_agent_tells_it(page: WebPage) -> None:
    answer = await page.ask("/api/status")
    assert answer.json["status"] == json.loads(json.dumps(to_plain(SITUATIONS["ready"])))


async def test_a_hostile_name_travels_as_plain_data(agent: Agent, page: WebPage) -> None:
    agent.name_the_eim(HOSTILE)
    answer = await page.ask("/api/status")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["status"]["eims"][0]["eim_id"] == HOSTILE


async def test_the_last_events_and_what_one_means(page: WebPage) -> None:
    assert len((await page.ask("/api/events")).json["events"]) == len(HAPPENINGS)
    assert (await page.ask("/api/explain?id=IPA-1320")).json["explanation"]
    answer = await page.ask("/api/explain?id=IPA-0000")
    assert (answer.status, answer.json["error"]["name"]) == (404, "NotFound")


async def test_what_was_done_on_the_device_is_shown(agent: Agent, page: WebPage) -> None:
    answer = await page.ask("/api/history")
    assert answer.status == 200
    assert len(answer.json["history"]) == len(HISTORY)


async def test_an_agent_without_a_history_is_no_error(
    agent: Agent, page: WebPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(client_connection._METHODS, "ListHistory")
    answer = await page.ask("/api/history")
    assert answer.status == 200
    assert answer.json == {"history": None}


async def test_a_change_is_told_to_all_who_look_over_one_subscription(agent: Agent, page: WebPage) -> None:
    async with page.live() as first, page.live() as second:
        for browser in (first, second):
            update = await browser.next("status")
            assert update["status"]["verdict"]["state"] == "ready"
        agent.change("switch-armed")
        agent.happens(HAPPENINGS[0])
        for browser in (first, second):
            assert (await browser.next("status"))["status"]["verdict"]["state"] == "switching"
        assert agent.listeners == 1
    await until(lambda: not agent.listeners)


async def test_who_comes_later_is_told_how_old_the_last_status_is(
    agent: Agent, page: WebPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with page.live() as first:
        assert (await first.next("status"))["later_s"] < 60
        monkeypatch.setattr(live_updates, "monotonic", lambda: time.monotonic() + 600)
        async with page.live() as second:
            assert (await second.next("status"))["later_s"] > 599


async def test_events_come_with_their_words(agent: Agent, page: WebPage) -> None:
    async with page.live() as browser:
        texts = [(await browser.next("event"))["event"]["text"] for _ in HAPPENINGS]
        assert texts == [one.text for one in HAPPENINGS]


async def test_an_agent_that_goes_away_is_told_and_found_again(
    agent: Agent, page: WebPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_updates, "RETRY_S", 0.01)
    async with page.live() as browser:
        await browser.next("status")
        await agent.stop()
        assert (await browser.next("error"))["error"]["name"] == "NotRunning"
        assert (await page.ask("/api/status")).status == 503
        await agent.start()
        assert (await browser.next("status"))["status"]["verdict"]["state"] == "ready"


def test_a_browser_that_reads_slowly_loses_events_and_is_told_how_many() -> None:
    listener = live_updates._Listener(deque())
    for number in range(live_updates.EVENTS_WAITING + 7):
        listener.add({"event": {"text": str(number)}})
    first, *rest = listener.take()
    assert first == {"lost": 7}
    assert len(rest) == live_updates.EVENTS_WAITING


# -- examining ---------------------------------------------------------------------------------------------------------


async def test_the_doctor_is_shown_item_by_item_and_asked_once(agent: Agent, page: WebPage) -> None:
    lines = (await page.ask("/api/doctor", method="POST", body={})).lines
    assert [line["item"]["layer"] for line in lines[:-1]] == [item["layer"] for item in DOCTOR["healthy"]]
    assert lines[-1]["done"] is True
    again = (await page.ask("/api/doctor", method="POST", body={})).lines
    assert again[:-1] == lines[:-1]
    assert agent.asked == ["doctor"]


async def test_an_old_examination_is_not_shown_again(
    agent: Agent, page: WebPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_runs, "REST_S", -1.0)
    for _ in range(2):
        await page.ask("/api/doctor", method="POST", body={})
    assert agent.asked == ["doctor", "doctor"]


async def test_two_who_ask_the_doctor_at_once_share_one_examination(agent: Agent, page: WebPage) -> None:
    agent.may_finish.clear()
    asking = [asyncio.create_task(page.ask("/api/doctor", method="POST", body={})) for _ in range(2)]
    await until(lambda: agent.asked)
    agent.may_finish.set()
    first, second = [(await one).lines for one in asking]
    assert first[:-1] == second[:-1]
    assert agent.asked == ["doctor"]


async def test_the_bundle_is_a_file_to_keep(agent: Agent, page: WebPage) -> None:
    answer = await page.ask("/api/bundle")
    assert answer.body == b"\x1f\x8b archive"
    assert re.fullmatch(
        r'attachment; filename="ipad-agent-\d{8}-\d{6}\.tar\.gz"', answer.headers["content-disposition"]
    )


async def test_one_bundle_is_made_at_a_time(agent: Agent, page: WebPage) -> None:
    agent.may_finish.clear()
    first = asyncio.create_task(page.ask("/api/bundle"))
    await until(lambda: agent.asked)
    assert (await page.ask("/api/bundle")).status == 429
    agent.may_finish.set()
    assert (await first).status == 200


async def test_a_process_that_may_only_look_says_what_it_lacks(agent: Agent, page: WebPage) -> None:
    agent.authority.right = Right.READ
    answer = await page.ask("/api/bundle")
    assert answer.status == 403
    assert "the right EXAMINE" in answer.json["error"]["sentence"]
    lines = (await page.ask("/api/doctor", method="POST", body={})).lines
    assert lines[0]["error"]["name"] == "NotAuthorized"
    assert (await page.ask("/api/status")).status == 200


# -- what can be asked of the agent at all -----------------------------------------------------------------------------


def test_no_method_that_acts_can_be_called_from_here() -> None:
    rights = {method.name: method.right for method in varlink_interface.METHODS}
    known = agent_connection.METHODS & set(rights)
    assert {"GetStatus", "Subscribe", "Doctor", "Bundle"} <= known
    assert all(rights[name] <= Right.EXAMINE for name in known)
    assert agent_connection.METHODS - known <= {"ListHistory"}, "of agents that have it"


async def test_a_defect_of_the_page_cannot_call_another_method(agent: Agent) -> None:
    with pytest.raises(ValueError, match="not for this page"):
        await AgentConnection(str(agent.path)).call("Rollback")


async def test_an_answer_that_is_no_varlink_is_a_sentence(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(b"HTTP/1.1 200\0")
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "odd"), page_here(tmp_path / "odd") as page:
        found = await page.ask("/api/status")
        assert (found.status, found.json["error"]["name"]) == (502, "NoAnswer")
