// What pages do beyond HTML. Everything works without it: forms post, links lead on.
const root = document.documentElement;

function say(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  requestAnimationFrame(() => { place.textContent = text; });
}

let asking = false; // whether a page of what goes on is just growing

// Makes an element like another by changing only where they differ: focus, scrolling, what is ticked and what is open
// stay. Children with an id are the same wherever they stand.
function morph(now, next) {
  if (now.isEqualNode(next) || (asking && now.matches?.("form.add.open"))) return; // somebody is typing there
  if (now.nodeType !== Node.ELEMENT_NODE || now.nodeName !== next.nodeName) { now.replaceWith(next); return; }
  for (const { name, value } of next.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  for (const { name } of [...now.attributes]) if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
  if (now.dataset.kept !== undefined) return; // what is in it was drawn here
  const list = next.matches("tbody, ol, ul");
  if (list) for (const node of [...now.childNodes, ...next.childNodes]) if (node.nodeType === Node.TEXT_NODE) node.remove();
  const kept = new Set([...next.children].map((child) => child.id));
  for (const child of [...now.children]) if (child.id && !kept.has(child.id)) child.remove();
  const known = new Map([...now.children].map((child) => [child.id, child]));
  let at = now.firstChild;
  for (const child of [...next.childNodes]) {
    const alike = at && !at.id && at.nodeName === child.nodeName ? at : null;
    const same = child.id ? known.get(child.id) : alike;
    if (!same) { now.insertBefore(child, at); continue; }
    if (same !== at) now.insertBefore(same, at);
    at = same.nextSibling;
    morph(same, child);
  }
  while (at) { const after = at.nextSibling; at.remove(); at = after; }
}

// Puts what the address answers into this page: the elements of these ids, and the sentence on what was done.
async function swap(ids, address, options) {
  const answer = await fetch(address, options);
  if (new URL(answer.url).pathname === `${root.dataset.base}login`) location.assign(answer.url); // the session has ended meanwhile
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) {
    const now = document.getElementById(id);
    const next = page.getElementById(id);
    if (now && next) morph(now, next);
  }
  document.dispatchEvent(new Event("swapped"));
  const said = page.getElementById("said")?.textContent;
  if (said) say(said);
  return answer;
}

function open(plus, form) {
  form.classList.add("open");
  plus.setAttribute("aria-expanded", "true");
  form.querySelector("input:not([type=hidden])").focus();
}

function close(form) {
  const plus = document.querySelector(`[data-opens="${form.id}"]`);
  form.classList.remove("open");
  form.reset();
  plus?.setAttribute("aria-expanded", "false");
  plus?.focus();
}

// "/" goes to the search field; Escape leaves an opened form.
addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.matches("input, textarea, select")) {
    const field = document.getElementById("goto");
    if (field) { event.preventDefault(); field.focus(); }
  }
  if (event.key === "Escape") {
    const form = event.target.closest("form.add");
    if (form) close(form);
    const menu = event.target.closest("details.menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  }
});

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy], [data-copy-block]");
  if (copy) {
    await navigator.clipboard?.writeText(copy.dataset.copy ?? copy.previousElementSibling.textContent);
    say("Copied");
    if (copy.dataset.copy === undefined) copy.textContent = "Copied";
  }
  const plus = event.target.closest("[data-opens]");
  if (plus) {
    const form = document.getElementById(plus.dataset.opens);
    if (form.classList.contains("open")) close(form); else open(plus, form);
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// Forms that name elements in data-swap are sent without leaving the page; focus stays where the work is.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id === "theme") {
    event.preventDefault();
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `registry_theme=${root.dataset.theme}; path=${root.dataset.base}; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
    say(`Theme: ${root.dataset.theme}`);
  } else if (form.dataset.swap) {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const focus = form.dataset.focus;
    try {
      await swap(form.dataset.swap.split(" "), form.action, { method: "POST", body });
      form.reset();
    } catch {
      say("The registry doesn't answer. Nothing was changed.");
      return;
    }
    const again = document.querySelector("form.add.open input:not([type=hidden])");
    (again ?? document.getElementById(focus))?.focus();
  }
});

// A graph that is larger than its box begins where its page is about.
const graph = document.querySelector(".graph");
const about = graph?.querySelector("a[aria-current], a");
if (about) {
  const [inner, outer] = [about.getBoundingClientRect(), graph.getBoundingClientRect()];
  graph.scrollLeft = inner.left - outer.left - (outer.width - inner.width) / 2;
}

// One box ticks all of a list; without scripts each is ticked by itself.
function offerAll() {
  for (const all of document.querySelectorAll("[data-all]")) {
    const boxes = [...all.form.querySelectorAll(`[name=${all.dataset.all}]`)];
    const ticked = boxes.filter((box) => box.checked).length;
    all.hidden = !boxes.length;
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    all.onchange = () => { for (const box of boxes) box.checked = all.checked; };
  }
}
for (const what of ["change", "swapped"]) document.addEventListener(what, offerAll);
offerAll();

// Forms that only say how something is drawn are sent as soon as they change.
document.addEventListener("change", (event) => event.target.closest("form[data-apply]")?.requestSubmit());

// A page of what still goes on names in data-live what grows. It is told when there is something new, and asks for it.
const AGAIN_MS = 5000;
let stream = null;
let more = false;

function follow() {
  if (stream || document.hidden || !document.querySelector("[data-live]")) return;
  stream = new EventSource(`${root.dataset.base}live`);
  stream.onmessage = grow;
  stream.onerror = () => {
    if (stream?.readyState === EventSource.CLOSED) { leave(); setTimeout(follow, AGAIN_MS); }
  };
}

function leave() {
  stream?.close();
  stream = null;
}

async function grow() {
  more = asking; // what is new since the last question may not be in its answer
  if (asking) return;
  asking = true;
  const log = document.querySelector("[data-follow]");
  const follows = log && log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  try {
    await swap(document.querySelector("[data-live]").dataset.live.split(" "), location.href);
  } catch {
    // the registry is away for a moment: its stream comes back when it does
  }
  asking = false;
  if (follows) log.scrollTop = log.scrollHeight;
  if (!document.querySelector("[data-live]")) leave();
  else if (more) grow();
}

const log = document.querySelector("[data-follow]");
if (log && !location.hash) log.scrollTop = log.scrollHeight;
// a page that nobody sees holds no connection: browsers have few of them for one server
addEventListener("visibilitychange", () => { if (document.hidden) leave(); else follow(); });
follow();
