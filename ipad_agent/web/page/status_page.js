// The page: what the agent says, as it comes. Every text goes into the document as text, never as markup; the content
// policy of the page lets nothing else happen.
"use strict";

const byId = (id) => document.getElementById(id);
const CHANGED_BY = {
  eIM: "by its manager (eIM)", eim: "by its manager (eIM)",
  rollback: "by going back after a change that did not work", fallback: "by the fallback",
  card: "by the card itself", local: "on this device", unknown: "by somebody unknown",
};
const CAUSES = { eIM: "the manager (eIM)", eim: "the manager (eIM)", local: "a person" };
const CARRIERS = { coaps: "CoAP/DTLS", https: "HTTPS" };
const STAGES = { registration: "network", ip: "address (IP)", dns: "name service (DNS)", eim: "manager (eIM)" };
const DOTS = { waiting: "○", bad: "✗" };
const MOST_EVENTS = 50;

// -- values as people say them -----------------------------------------------------------------------------------------

const GLUE = "\u00a0";

function span(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  const two = (unit, name, below, belowName) => {
    const rest = Math.floor((whole % unit) / below);
    return `${Math.floor(whole / unit)}${GLUE}${name}` + (rest ? `${GLUE}${rest}${GLUE}${belowName}` : "");
  };
  if (whole < 60) return `${whole}${GLUE}s`;
  if (whole < 600) return two(60, "min", 1, "s");
  if (whole < 3600) return `${Math.floor(whole / 60)}${GLUE}min`;
  if (whole < 172800) return two(3600, "h", 60, "min");
  if (whole < 864000) return two(86400, "d", 3600, "h");
  return `${Math.floor(whole / 86400)}${GLUE}d`;
}

function size(bytes) {
  if (bytes < 1000) return `${bytes}${GLUE}B`;
  for (const [unit, factor] of [["kB", 1e3], ["MB", 1e6], ["GB", 1e9]]) {
    const count = bytes / factor;
    if (count < 9.95) return `${count.toFixed(1)}${GLUE}${unit}`;
    if (count < 999.5 || unit === "GB") return `${count.toFixed(0)}${GLUE}${unit}`;
  }
  return `${bytes}${GLUE}B`;
}

const sentence = (text) => (!text || /[.!?]$/.test(text) ? text || "" : `${text}.`);
const plain = (text) => (text || "").replace(/\.$/, "");
const lower = (text) => (/^.[A-Z]/.test(text) ? text : text.charAt(0).toLowerCase() + text.slice(1));
const grouped = (digits) => digits.replace(/(.{4})(?=.)/g, "$1 ");
const tail = (iccid) => `…${iccid.slice(-4)}`;
const named = (profile) => profile.nickname || profile.name || profile.provider || "";

function titled(iccid, profiles) {
  if (iccid === null) return "none";
  if (iccid === "unknown") return "a profile that only the card knows yet";
  const profile = profiles.find((one) => one.iccid === iccid);
  return profile && named(profile) ? `“${named(profile)}” ${tail(iccid)}` : tail(iccid);
}

// -- pieces of the document --------------------------------------------------------------------------------------------

function make(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const child of children) {
    // No line ends between the dots and the digits of a shortened number.
    if (typeof child === "string") made.append(child.replace(/…(?=[0-9A-F])/g, "…\u2060"));
    else if (child) made.append(child);
  }
  return made;
}

const tickers = new Set();
let shownSince = Date.now();

// A time that goes on by itself. `ahead` times are planned: what is overdue happens now.
function moving(time, ahead) {
  const at = shownSince - time.age_s * 1000;
  const node = make("span");
  node.tick = () => {
    const age = (Date.now() - at) / 1000;
    let text = "now";
    if (ahead) text = age > -1 ? "now" : `in ${span(-age)}`;
    else if (age >= 1) text = `${span(age)} ago`;
    else if (age <= -1) text = `in ${span(-age)}`;
    if (node.textContent !== text) node.textContent = text;
  };
  node.tick();
  tickers.add(node);
  return node;
}

setInterval(() => {
  for (const node of tickers) {
    if (node.isConnected) node.tick();
    else tickers.delete(node);
  }
}, 1000);

const mark = (ok) => make("span", ok === null ? "" : ok ? "ok" : "wrong", ok === null ? "·" : ok ? "✓" : "✗");

function number(digits, ok) {
  const shown = make("span", "number", grouped(digits));
  return /^\d+$/.test(digits) ? make("span", "", shown, " ", mark(ok)) : shown;
}

function whatToDo(text) {
  return make("p", "", make("span", "label", "What to do: "), sentence(text));
}

// Replaces a section's content only when it says something else than before, so that what somebody marks or reads stays.
const shown = new Map();
function fill(id, value, build) {
  const section = byId(id);
  const told = JSON.stringify(value, (name, one) => (name === "age_s" || name === "taken_at_s" ? undefined : one));
  if (shown.get(id) === told) return;
  shown.set(id, told);
  const built = build();
  section.hidden = built === null;
  section.replaceChildren(...(built || []));
}

function rows(pairs) {
  const list = make("dl");
  for (const [name, ...value] of pairs) list.append(make("dt", "", name), make("dd", "", ...value));
  return list;
}

// -- the sections ------------------------------------------------------------------------------------------------------

function showVerdict(status) {
  const verdict = status.verdict;
  byId("verdict").className = ["good", "busy", "waiting", "bad"].includes(verdict.severity) ? verdict.severity : "waiting";
  document.title = `${DOTS[verdict.severity] || "●"} ${verdict.state} – eSIM of this device`;
  fill("verdict", verdict, () => [
    make("strong", "word", `${DOTS[verdict.severity] || "●"} ${verdict.state}`),
    make("p", "", sentence(verdict.sentence)),
    verdict.next && make("p", "", make("span", "label", "Next: "), lower(plain(verdict.next)),
      ...(verdict.next_at ? [", ", moving(verdict.next_at, true)] : []), "."),
    verdict.advice && whatToDo(verdict.advice),
  ].filter(Boolean));
}

function showOperation(status) {
  const operation = status.operation;
  fill("operation", operation, () => {
    if (!operation) return null;
    const head = make("h2", "", "Now: ", operation.name);
    const since = make("p", "detail", "begun ", moving(operation.since, false));
    if (operation.done === null || !operation.total) return [head, since];
    const bar = make("progress");
    bar.max = operation.total;
    bar.value = operation.done;
    bar.setAttribute("aria-label", operation.name);
    const far = operation.unit === "bytes"
      ? `${size(operation.done)} of ${size(operation.total)}`
      : `${operation.done} of ${operation.total} ${operation.unit || ""}`;
    const share = Math.min(Math.floor((operation.done * 100) / operation.total), 100);
    return [head, bar, make("p", "", make("strong", "", `${share}${GLUE}%`), ` (${far.trim()}), begun `, moving(operation.since, false))];
  });
}

function stageList(stages) {
  return make("ul", "", ...stages.map((stage) => {
    const detail = stage.detail || (stage.ok === null ? "not tried yet" : "");
    return make("li", "", mark(stage.ok), ` ${STAGES[stage.name] || stage.name}`, detail && `: ${detail}`);
  }));
}

function showChange(status) {
  const change = status.switch;
  fill("change", [change, status.profiles.map((one) => [one.iccid, named(one)])], () => {
    if (!change) return null;
    const way = `From ${titled(change.previous, status.profiles)} to ${titled(change.target, status.profiles)}`;
    const who = change.cause && change.cause !== "unknown" ? `, asked for by ${CAUSES[change.cause] || change.cause}` : "";
    const parts = [make("h2", "", change.ended ? `Last change of profile: ${change.phase}` : `Change of profile: ${change.phase}`)];
    const story = make("p", "", way, who, "; begun ", moving(change.since, false));
    if (change.ended) story.append(", ended ", moving(change.ended, false));
    story.append(".");
    parts.push(story);
    if (!change.ended || change.stages.some((one) => one.ok === false)) parts.push(stageList(change.stages));
    if (!change.ended && change.deadline && change.way_back !== "none") {
      parts.push(make("p", "", make("span", "label", "Way back: "), change.way_back, ", taken ", moving(change.deadline, true),
        " unless the new profile has proved by then that it works."));
    } else if (!change.ended && change.way_back === "none") {
      parts.push(make("p", "", "There is no way back from this change; it goes on until it works."));
    }
    return parts;
  });
}

function showWarnings(status) {
  const clock = status.clock_set ? [] : [{
    id: null, sentence: "The clock is not set: certificates cannot be judged, and times shown are guesses",
  }];
  const held = status.held_by.map((one) => ({ id: null, sentence: `Work is held back by ${one.name}: ${one.sentence}` }));
  const warnings = [...status.warnings, ...held, ...clock];
  fill("warnings", warnings, () => warnings.length === 0 ? null : [
    make("h2", "", "To know"),
    make("ul", "", ...warnings.map((one) => make("li", "", make("span", "wrong", "! "), sentence(one.sentence), " ",
      one.id && why(one.id), one.what_to_do && whatToDo(one.what_to_do)))),
  ]);
}

// Whether the agent has not looked at the card again since the change under way: what it knows is from before.
function before(status) {
  const change = status.switch;
  return Boolean(change && !change.ended && ["proving", "unproved"].includes(change.phase) &&
    !status.profiles.some((profile) => profile.enabled && profile.iccid === change.target));
}

const asOf = (title, status) => title + (status.trouble ? ", as last seen" : before(status) ? ", as before the change" : "");

function showProfiles(status) {
  fill("profiles", [status.profiles, asOf("", status)], () => {
    const items = status.profiles.map((profile) => {
      const tags = [profile.enabled && ["on", "enabled"], profile.fallback && ["", "fallback"], profile.emergency && ["", "emergency"],
        profile.profile_class && profile.profile_class !== "operational" && ["", profile.profile_class]].filter(Boolean);
      const line = make("h3", "", named(profile) || "(no name)");
      for (const [kind, text] of tags) line.append(" ", make("span", `tag ${kind}`, text));
      const since = make("p", "detail", profile.enabled ? "enabled" : "disabled");
      if (profile.changed_at) since.append(" ", moving(profile.changed_at, false));
      if (profile.changed_by) since.append(` ${CHANGED_BY[profile.changed_by] || `by ${profile.changed_by}`}`);
      const known = profile.changed_at || profile.changed_by;
      return make("li", "", line, make("p", "", "ICCID ", number(profile.iccid, profile.iccid_check_digit_ok)), known && since);
    });
    return [make("h2", "", asOf("Profiles", status)),
      items.length ? make("ul", "", ...items) : make("p", "", "None is known.")];
  });
}

function lastPoll(eim, asked) {
  const poll = eim.last_poll;
  if (!poll) return make("p", "", asked ? "being asked now" : "not asked yet");
  const cost = [poll.cost_bytes !== null && size(poll.cost_bytes),
    poll.duration_s !== null && `${poll.duration_s.toFixed(1)}${GLUE}s`].filter(Boolean);
  if (poll.ok) {
    return make("p", "", mark(eim.trouble === null), " answered ", moving(poll.at, false), ": ", [poll.outcome, ...cost].join(", "),
      eim.trouble && `; ${eim.trouble}`);
  }
  const line = make("p", "", mark(false), eim.answered ? " answered " : " failed ", moving(poll.at, false), `: ${eim.trouble || poll.outcome}`);
  if (eim.failures > 1) line.append(`, ${eim.failures} times in a row`);
  if (!eim.answered) {
    if (eim.last_success) line.append("; last answered ", moving(eim.last_success, false));
    else line.append("; never answered");
  }
  return line;
}

function showManagers(status) {
  const asked = status.operation && status.operation.eim_id;
  fill("managers", [status.eims, asked], () => [make("h2", "", "Managers (eIM)"),
    status.eims.length === 0 ? make("p", "", "The card names none.") : make("ul", "", ...status.eims.map((eim) => {
      const how = [eim.carrier && (CARRIERS[eim.carrier] || eim.carrier), eim.host, !eim.on_card && "no longer on the card"];
      const next = eim.next_poll && make("p", "detail", "asked again ", moving(eim.next_poll, true), eim.next_reason && ` (${eim.next_reason})`);
      return make("li", "", make("h3", "", eim.eim_id), make("p", "detail", how.filter(Boolean).join(", ")), lastPoll(eim, asked === eim.eim_id), next);
    }))]);
}

function showHardware(status) {
  const { card, modem, radio, traffic, guardian } = status;
  fill("hardware", [card, modem, radio, traffic, guardian, asOf("", status)], () => {
    const pairs = [];
    if (card) {
      pairs.push(["Card", card.kind.replace(/^an? /, ""),
        card.free_memory_bytes ? `, ${size(card.free_memory_bytes)} free` : ""]);
      pairs.push(["EID", number(card.eid, card.eid_check_digits_ok)]);
    }
    const who = modem ? [modem.manufacturer, modem.model, modem.firmware].filter(Boolean).join(" ") || "not identified" : "none";
    pairs.push(["Modem", who, modem && modem.port ? ` on ${modem.port}` : "", modem && modem.sim ? `, SIM ${modem.sim}` : ""]);
    if (radio) {
      const where = radio.registered ? [radio.network, radio.technology].filter(Boolean).join(" ") : "";
      const signal = radio.signal_dbm === null ? "" : `${radio.signal_kind || "signal"} ${radio.signal_dbm}${GLUE}dBm`;
      pairs.push(["Network", [radio.registration || "unknown", where, signal].filter(Boolean).join(", ")]);
    }
    if (guardian && guardian.enabled && guardian.lost_for_s !== null) {
      pairs.push(["Guard", `connection lost for ${span(guardian.lost_for_s)}`,
        guardian.acts_at ? "; changes to the fallback profile " : "", guardian.acts_at ? moving(guardian.acts_at, true) : ""]);
    }
    const budget = traffic.budget_bytes_per_day === null ? "" : ` of ${size(traffic.budget_bytes_per_day)}`;
    pairs.push(["Data", `${size(traffic.today_bytes)}${budget} today, ${size(traffic.total_bytes)} since the agent's start`]);
    return [make("h2", "", asOf("Card, modem, network", status)), rows(pairs)];
  });
}

function showOwed(status) {
  const nothing = before(status) ? "The result of the change, as soon as it is proved or taken back." : "Nothing: everything was delivered.";
  fill("owed", [status.owed, nothing], () => [make("h2", "", "Owed"),
    status.owed.length === 0 ? make("p", "", nothing) : make("ul", "", ...status.owed.map((owed) =>
      make("li", "", `To ${owed.receiver}: ${owed.what}`,
        owed.reason && make("p", "detail", `${owed.attempts} attempts in vain: ${owed.reason}`),
        owed.next_attempt && make("p", "detail", "next attempt ", moving(owed.next_attempt, true)))))]);
}

let lastStatus = null;

function show(status, laterS) {
  lastStatus = status;
  shownSince = Date.now() - laterS * 1000;
  showVerdict(status);
  showOperation(status);
  showChange(status);
  showWarnings(status);
  showProfiles(status);
  showManagers(status);
  showHardware(status);
  showOwed(status);
  byId("version").textContent = `ipad-agent ${status.version}, running for ${span(status.uptime_s)}`;
  showHistory(status);
}

// What the agent last said stays on the page, but nothing on it may look as if it were so now.
function showTrouble(trouble) {
  byId("verdict").className = "stale";
  document.title = "✗ no answer – eSIM of this device";
  fill("verdict", trouble, () => [make("strong", "word", "✗ no answer"), make("p", "", sentence(trouble.sentence)),
    trouble.hint && whatToDo(trouble.hint)].filter(Boolean));
  fill("operation", null, () => null);
}

// -- events ------------------------------------------------------------------------------------------------------------

function clock(atS) {
  const at = new Date(atS * 1000);
  return Number.isNaN(at.getTime()) ? String(atS) : at.toLocaleTimeString([], { hour12: false });
}

function why(id) {
  const button = make("button", "why", id);
  button.type = "button";
  button.title = "What does this mean?";
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await ask(`/api/explain?id=${encodeURIComponent(id)}`);
    button.after(make("p", "detail", answer.explanation || answer.error.sentence));
  });
  return button;
}

function addEvent(event) {
  const line = make("li", ["warning", "error"].includes(event.level) ? event.level : "", make("time", "", clock(event.at_s)),
    make("span", "", ["warning", "error"].includes(event.level) ? make("span", "wrong", "! ") : "", event.text, " ", why(event.id)));
  byId("events").prepend(line);
  while (byId("events").children.length > MOST_EVENTS) byId("events").lastChild.remove();
}

// -- the device --------------------------------------------------------------------------------------------------------

async function ask(path, options) {
  try {
    const answer = await fetch(path, { credentials: "same-origin", ...options });
    if (answer.status === 401) signIn();
    const found = await answer.json();
    return answer.ok || found.error ? found : { error: { sentence: `The page's server answered ${answer.status}.` } };
  } catch {
    return { error: { sentence: "The page's server cannot be reached.", hint: null } };
  }
}

const post = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

let source = null;

function connection(text, lost) {
  byId("connection").textContent = text;
  byId("connection").className = lost ? "lost" : "";
}

function follow() {
  if (source) source.close();
  byId("login").hidden = true;
  byId("device").hidden = false;
  byId("logout").hidden = false;
  source = new EventSource("/api/live");
  source.onopen = () => {
    byId("events").replaceChildren();
    connection("live", false);
  };
  source.onmessage = (message) => {
    const update = JSON.parse(message.data);
    if (update.event) addEvent(update.event);
    if (update.lost) addEvent({ level: "warning", text: `${update.lost} messages were left out.`, at_s: Date.now() / 1000, id: "IPA" });
    if (update.status) show(update.status, update.later_s);
    if (update.error) showTrouble(update.error);
    connection(update.error ? "the agent gives no answer" : "live", Boolean(update.error));
  };
  source.onerror = async () => {
    connection("connection lost; what is shown may be old", true);
    byId("verdict").className = "stale";
    shown.delete("verdict");
    if (source.readyState === EventSource.CLOSED) {
      const answer = await ask("/api/status");
      if (byId("login").hidden) setTimeout(follow, answer.error ? 5000 : 1000);
    }
  };
}

function signIn() {
  if (source) source.close();
  connection("not signed in", false);
  byId("device").hidden = true;
  byId("logout").hidden = true;
  byId("login").hidden = false;
  byId("token").focus();
}

async function tryToken(token) {
  const answer = await fetch("/api/login", post({ token })).catch(() => null);
  byId("token").value = "";
  if (answer && answer.status === 204) {
    byId("login-trouble").textContent = "";
    follow();
  } else {
    signIn();
    byId("login-trouble").textContent = answer ? "That is not the token." : "The page's server cannot be reached.";
  }
}

const BY = { eim: "the manager (eIM)", person: "a person", guardian: "the device's guardian", device: "the device itself" };
const FAILED = ["failed", "refused", "rolled-back", "unproved"];
let historyStarted = "";

function historyLine(entry) {
  const ok = entry.outcome === "done" ? true : FAILED.includes(entry.outcome) ? false : null;
  const line = make("span", "", mark(ok), " ", make("strong", "", entry.kind), `: ${entry.what}`);
  const profiles = lastStatus ? lastStatus.profiles : [];
  if (entry.target || entry.previous) line.append(`, from ${titled(entry.previous, profiles)} to ${titled(entry.target, profiles)}`);
  const by = entry.by === "eim" && entry.eim_id ? `${entry.eim_id} (eIM)` : BY[entry.by] || entry.by;
  line.append(`, by ${by}; ${entry.outcome.replace("-", " ")}`);
  if (entry.duration_s !== null) line.append(entry.duration_s < 1 ? " at once" : ` after ${span(entry.duration_s)}`);
  if (entry.times > 1) line.append(`, ${entry.times} times in a row`);
  if (entry.reason) line.append(make("span", "detail", `: ${entry.reason}`));
  return make("li", "", entry.at ? make("time", "", moving(entry.at, false)) : make("time", "", "?"), line);
}

// Asked for again whenever something began or ended. An agent that keeps no history has no such section.
async function showHistory(status) {
  const names = status.profiles.map((one) => [one.iccid, named(one)]);
  const now = JSON.stringify([status.operation && status.operation.name, status.switch && status.switch.phase, status.verdict.state, names]);
  if (historyStarted === now) return;
  historyStarted = now;
  const answer = await ask("/api/history");
  if (!Array.isArray(answer.history)) return;
  shownSince = Date.now();
  fill("history", [answer.history, names], () => [make("h2", "", "Orders and changes"), answer.history.length === 0 ? make("p", "", "Nothing yet.") :
    make("ol", "", ...answer.history.map(historyLine).reverse())]);
}

function finding(item) {
  return make("li", "", mark(item.ok), " ", make("strong", "", item.layer), `: ${sentence(item.sentence)}`, item.fix && whatToDo(item.fix));
}

async function examine() {
  const button = byId("examine");
  const list = make("ul");
  button.disabled = true;
  button.textContent = "Checking …";
  byId("findings").replaceChildren(list);
  try {
    const answer = await fetch("/api/doctor", post({}));
    if (answer.status === 401) signIn();
    let rest = "";
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines.filter(Boolean).map((text) => JSON.parse(text))) {
        if (line.item) list.append(finding(line.item));
        if (line.error) list.append(make("li", "wrong", sentence(line.error.sentence), line.error.hint && whatToDo(line.error.hint)));
        if (line.done && line.age_s >= 2) list.append(make("li", "detail", `Checked ${span(line.age_s)} ago; not again within a minute.`));
      }
    }
    if (rest) list.append(make("li", "wrong", sentence(JSON.parse(rest).error.sentence)));
  } catch {
    list.append(make("li", "wrong", "The page's server cannot be reached."));
  }
  button.disabled = false;
  button.textContent = "Check the device again";
}

async function downloadBundle() {
  const button = byId("bundle");
  const text = button.textContent;
  button.disabled = true;
  button.textContent = "Collecting …";
  byId("bundle-trouble").textContent = "";
  try {
    const answer = await fetch("/api/bundle", { credentials: "same-origin" });
    if (answer.status === 401) signIn();
    if (answer.ok) {
      const link = make("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "")?.[1] || "ipad-agent.tar.gz";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } else {
      const { error } = await answer.json();
      byId("bundle-trouble").textContent = [sentence(error.sentence), error.hint].filter(Boolean).join(" ");
    }
  } catch {
    byId("bundle-trouble").textContent = "The page's server cannot be reached.";
  }
  button.disabled = false;
  button.textContent = text;
}

// -- the beginning -----------------------------------------------------------------------------------------------------

function theme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
}

byId("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  theme(dark ? "light" : "dark");
  try { localStorage.setItem("theme", dark ? "light" : "dark"); } catch { /* a browser that keeps nothing */ }
});
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  tryToken(byId("token").value);
});
byId("logout").addEventListener("click", async () => {
  await ask("/api/logout", post({}));
  signIn();
});
byId("examine").addEventListener("click", examine);
byId("bundle").addEventListener("click", downloadBundle);
try { theme(localStorage.getItem("theme")); } catch { /* the same */ }

const given = /^#token=(.+)$/.exec(location.hash);
if (given) {
  // What stands behind # is never sent; it leaves the address and the history of the browser at once.
  history.replaceState(null, "", location.pathname);
  tryToken(decodeURIComponent(given[1]));
} else {
  ask("/api/status").then((answer) => { if (answer.error?.name !== "SignIn") follow(); });
}
