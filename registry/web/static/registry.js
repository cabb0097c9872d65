// What pages do beyond HTML. Everything works without it: forms post, links lead on.
const root = document.documentElement;

function say(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  requestAnimationFrame(() => { place.textContent = text; });
}

// Puts what the address answers into this page: the elements of these ids, and the sentence on what was done.
async function swap(ids, address, options) {
  const answer = await fetch(address, options);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) {
    const now = document.getElementById(id);
    const next = page.getElementById(id);
    if (now && next) now.replaceWith(next);
  }
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
    document.cookie = `registry_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    say(`Theme: ${root.dataset.theme}`);
  } else if (form.dataset.swap) {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const focus = form.dataset.focus;
    try {
      await swap(form.dataset.swap.split(" "), form.action, { method: "POST", body });
    } catch {
      say("The registry doesn't answer. Nothing was changed.");
      return;
    }
    const again = document.querySelector("form.add.open input:not([type=hidden])");
    (again ?? document.getElementById(focus))?.focus();
  }
});

// Forms that only say how something is drawn are sent as soon as they change.
document.addEventListener("change", (event) => event.target.closest("form[data-apply]")?.requestSubmit());

// A page of what still goes on names in data-live what grows; it is asked for anew until it has ended.
const LIVE_MS = 2000;

async function grow() {
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const log = document.querySelector("[data-follow]");
  const follows = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  const before = log?.scrollTop;
  const opened = [...document.querySelectorAll("main details")].map((details) => details.open);
  const busy = document.activeElement?.closest("#run-part form");
  try {
    const ids = live.dataset.live.split(" ").filter((id) => !busy || id !== "run-part");
    await swap(ids, location.href);
  } catch {
    // the registry is away for a moment: asked again below
  }
  [...document.querySelectorAll("main details")].forEach((details, at) => { if (opened[at]) details.open = true; });
  const now = document.querySelector("[data-follow]");
  if (now) now.scrollTop = follows ? now.scrollHeight : before;
  setTimeout(grow, LIVE_MS);
}

const log = document.querySelector("[data-follow]");
if (log) log.scrollTop = log.scrollHeight;
setTimeout(grow, LIVE_MS);
