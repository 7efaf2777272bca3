// Shows devices, queues and results as they are. It only reads, and asks nobody but the server that it came from.
"use strict";

const SHOWN = 200;
const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function asked(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function row(cells) {
  const made = element("tr");
  for (const [text, className] of cells) made.append(element("td", text, className));
  return made;
}

function deviceArticle(device, orders) {
  const article = element("article");
  article.append(element("h3", device.eid));
  const facts = [`counter ${device.counter}`, `token ${device.associationToken ?? "none"}`];
  facts.push(`last result ${device.lastSeqNumber ?? "none"}`);
  if (device.emulated) facts.push("emulated: signed by the device, not by the card");
  if (device.keyFingerprint === null) facts.push("its key is unknown: results are not verified");
  article.append(element("p", facts.join(", ")));
  const table = element("table");
  for (const order of [...orders].reverse().slice(0, 20)) {
    table.append(row([[String(order.number)], [order.state, order.state], [order.order]]));
  }
  article.append(orders.length ? table : element("p", "Nothing was ordered."));
  return article;
}

async function showDevices() {
  const { devices } = await asked("api/v1/devices");
  const articles = [];
  for (const device of devices) {
    const { orders } = await asked(`api/v1/devices/${device.eid}/orders`);
    articles.push(deviceArticle(device, orders));
  }
  byId("no-devices").hidden = articles.length > 0;
  byId("devices").replaceChildren(...articles);
}

async function showEim() {
  const eim = await asked("api/v1/eim");
  byId("name").textContent = eim.eimId;
  const { release, acknowledgement } = eim.settings;
  byId("settings").textContent = `SGP.32 release ${release}, results are answered by ${acknowledgement}`;
}

function detailsOf(entry) {
  const hidden = new Set(["raw", "package"]);
  const kept = Object.entries(entry.details).filter(([name]) => !hidden.has(name));
  return kept.map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}

function showEntry(entry) {
  const when = entry.at ? new Date(entry.at * 1000).toLocaleTimeString() : "";
  const verdict = entry.ok === null ? "" : entry.ok ? "done" : "failed";
  const cells = [[when], [entry.eid ?? "", "code"], [entry.kind, verdict], [entry.order ?? ""], [detailsOf(entry), "code"]];
  const body = byId("history");
  body.prepend(row(cells));
  while (body.rows.length > SHOWN) body.deleteRow(-1);
}

let refreshing = 0;
function refreshSoon() {
  clearTimeout(refreshing);
  refreshing = setTimeout(() => showDevices().catch(lost), 100);
}

function lost() {
  byId("connection").textContent = "the lab does not answer; trying again";
  byId("connection").className = "lost";
}

async function start() {
  await showEim();
  await showDevices();
  const { entries } = await asked(`api/v1/results?limit=1000`);
  entries.slice(-SHOWN).forEach(showEntry);
  let last = entries.length ? entries[entries.length - 1].number : 0;
  const events = new EventSource("api/v1/events");
  events.onopen = async () => {
    byId("connection").textContent = "live";
    byId("connection").className = "";
    const missed = await asked(`api/v1/results?after=${last}`);
    for (const entry of missed.entries) if (entry.number > last) { showEntry(entry); last = entry.number; }
    refreshSoon();
  };
  events.onerror = lost;
  events.addEventListener("entry", (event) => {
    const entry = JSON.parse(event.data);
    if (entry.number > last) { showEntry(entry); last = entry.number; }
    refreshSoon();
  });
}

start().catch(lost);
setInterval(() => showDevices().catch(lost), 10000);
