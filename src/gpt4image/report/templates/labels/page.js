const $ = (id) => document.getElementById(id);
const AHEAD = 3, MOST_FOUND = 50;
const count = (number) => number.toLocaleString("en");
const percent = (share) => `${share > 0 && share < 0.01 ? "<1" : Math.round(100 * share)} %`;
const tab = sessionStorage.getItem("page") ?? Math.random().toString(36).slice(2);
sessionStorage.setItem("page", tab);
let who = "", classes = [], seen = [], at = -1, last = -1, mine = [], busy = false, skipped = 0;

const nameOf = (answer) => answer.class ?? "none of these";
const url = (digest) => `images/${digest.slice(0, 2)}/${digest.slice(2)}.jpg`;

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error("The server does not answer; nothing was stored. Is gpt4image gallery still running?");
  const value = await response.json().catch(() => ({ error: "the server gave no answer" }));
  if (!response.ok && response.status !== 409) throw new Error(value.error);
  if (value.progress) showProgress(value.progress);
  return { ...value, conflict: response.status === 409 };
}

// One thing at a time: a key pressed before the next image is there must not answer for it unseen.
async function alone(task) {
  if (busy) return;
  busy = true;
  try { await task(); } catch (error) { complain(error.message); } finally { busy = false; }
}

function showProgress({ answered, total, wrong }) {
  $("bar").max = total; $("bar").value = answered;
  $("progress").textContent = `${count(answered)} of ${count(total)} answered · about ${count(Math.round(wrong))} of the others wrong`;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) name in element ? element[name] = value : element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function choice({ name, probability, given, proposed, witnesses }, number, answer) {
  const says = [given ? make("span", { className: "given" }, "given label") : null, proposed ? make("span", {}, "proposed") : null,
    ...witnesses.map(([witness, sure]) => make("span", {}, `${witness} ${percent(sure)}`))].filter(Boolean);
  const button = make("button", { type: "button", className: `choice${answer && answer.class === name ? " answered" : ""}`, onclick: () => give(name) },
    number <= 9 ? make("kbd", {}, String(number)) : make("span"), make("b", {}, name), make("span", { className: "share soft" }, percent(probability)),
    says.length ? make("span", { className: "says" }, ...says) : null);
  button.style.setProperty("--share", `${Math.round(100 * probability)}%`);
  button.dataset.name = name;
  if (number <= 9) button.setAttribute("aria-keyshortcuts", String(number));
  return make("li", {}, button);
}

function show(note = "") {
  const image = seen[at], picture = $("picture"), hadFocus = $("review").contains(document.activeElement);
  $("review").hidden = !image; $("end").hidden = Boolean(image);
  $("undo").disabled = !mine.length; $("back").disabled = at <= 0;
  if (!image) return;
  const { digest, key, choices, answer, state, none } = image;
  if (picture.dataset.digest !== digest) {
    picture.dataset.digest = digest; picture.hidden = false; picture.src = url(digest); picture.alt = `The image to be named: ${key}`;
  }
  $("key").textContent = key;
  $("state").textContent = [state.replace("_", " "), none >= 0.005 ? `none of the classes ${percent(none)}` : "", answer ? `${answer.who} said: ${nameOf(answer)}` : ""].filter(Boolean).join(" · ");
  $("choices").replaceChildren(...choices.map((one, place) => choice(one, place + 1, answer)));
  $("none").classList.toggle("answered", answer !== null && answer.class === null);
  $("said").textContent = note;
  if (hadFocus && !$("find").matches(":focus")) $("key").focus({ preventScroll: true });
}

async function forward(note = "") {
  if (at < seen.length - 1) {
    seen[at + 1] = (await ask(`labels/image?digest=${seen[at + 1].digest}`)).image;
    at++;
    return show(note);
  }
  const { images, progress } = await ask(`labels/next?after=${last}&count=${AHEAD}&page=${tab}`);
  if (!images.length) return finish(progress);
  last = images[0].rank; seen.push(images[0]); at = seen.length - 1;
  show(note);
  for (const image of images.slice(1)) new Image().src = url(image.digest);
}

async function back() {
  if (at <= 0) return;
  seen[at - 1] = (await ask(`labels/image?digest=${seen[at - 1].digest}`)).image;
  at--; show();
}

function finish({ answered, total }) {
  at = seen.length; show();
  $("end").firstElementChild.textContent = answered === total ? `All ${count(total)} images are answered.` : `That was the last one; ${count(total - answered)} images have no answer.`;
  $("again").hidden = answered === total;
  $("end").firstElementChild.focus();
}

const give = (name) => alone(async () => {
  const image = seen[at];
  if (!image) return;
  const result = await ask("labels/answer", { digest: image.digest, class: name, who, seen: image.answer });
  seen[at] = result.image;
  if (result.conflict) { complain(told(result.image)); return show(); }
  mine.push({ digest: image.digest, answer: result.image.answer });
  await forward(`${image.key}: ${nameOf(result.image.answer)}. Stored.`);
});

const told = ({ answer }) => answer ? `${answer.who} has said “${nameOf(answer)}” in the meantime. Answer again to change it, or go on.` : "The answer was taken back in the meantime.";

const undo = () => alone(async () => {
  const before = mine.at(-1);
  if (!before) return;
  const result = await ask("labels/undo", { digest: before.digest, who, seen: before.answer });
  mine.pop();
  const place = seen.findIndex((image) => image.digest === before.digest);
  if (place >= 0) { seen[place] = result.image; at = place; } else { at = Math.min(Math.max(at, 0), seen.length); seen.splice(at, 0, result.image); }
  if (result.conflict) complain(told(result.image));
  show(result.conflict ? "" : `${result.image.key}: answer taken back.`);
});

const skip = () => alone(() => forward());
const goBack = () => alone(back);
const again = () => alone(() => { last = -1; return forward(); });

let marked = 0;
function search() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = classes.filter((name) => words.every((word) => name.toLowerCase().includes(word))).slice(0, MOST_FOUND);
  $("found").replaceChildren(...matching.map((name, place) => make("li", { role: "option", id: `found-${place}`, onmousedown: (event) => { event.preventDefault(); choose(name); } }, name)));
  mark(0);
  open(matching.length > 0);
}
function mark(place) {
  const options = [...$("found").children];
  marked = options.length ? (place + options.length) % options.length : 0;
  options.forEach((option, number) => option.setAttribute("aria-selected", number === marked));
  options[marked]?.scrollIntoView({ block: "nearest" });
  options[marked] ? $("find").setAttribute("aria-activedescendant", options[marked].id) : $("find").removeAttribute("aria-activedescendant");
}
function open(shown) { $("found").hidden = !shown; $("find").setAttribute("aria-expanded", shown); }
function leave() { $("find").value = ""; open(false); $("key").focus({ preventScroll: true }); }
function choose(name) { leave(); give(name); }

$("find").addEventListener("input", search);
$("find").addEventListener("focus", search);
$("find").addEventListener("blur", () => open(false));
$("find").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") mark(marked + 1);
  else if (event.key === "ArrowUp") mark(marked - 1);
  else if (event.key === "Enter") { const option = $("found").children[marked]; if (option && !$("found").hidden) choose(option.textContent); }
  else if (event.key === "Escape") leave();
  else return;
  event.preventDefault();
});

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || $("ask").open || event.target.closest("input")) return;
  const { key } = event;
  if (/^[1-9]$/.test(key)) { const name = seen[at]?.choices[key - 1]?.name; if (name) give(name); }
  else if (key === "0" || key === "n") give(null);
  else if (key === "u") undo();
  else if (key === "ArrowRight") skip();
  else if (key === "ArrowLeft") goBack();
  else if (key === "/") $("find").focus();
  else if (classes.length > 9 && /^\p{L}$/u.test(key)) { $("find").focus(); return; }
  else return;
  event.preventDefault();
});

$("picture").addEventListener("load", ({ target }) => target.classList.toggle("tiny", target.naturalWidth <= 160));
$("picture").addEventListener("error", ({ target }) => { target.hidden = true; complain("The picture is not there; say where the images are with gallery --images."); });
$("none").addEventListener("click", () => give(null));
$("undo").addEventListener("click", undo); $("skip").addEventListener("click", skip);
$("back").addEventListener("click", goBack); $("again").addEventListener("click", again);
$("who").addEventListener("click", askWho);

function complain(text) {
  $("toast").textContent = text; $("toast").hidden = false;
  clearTimeout(complain.timer); complain.timer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

// A cookie, since the server's port may be another one tomorrow.
const kept = () => decodeURIComponent(document.cookie.match(/(?:^|; )gpt4image_who=([^;]*)/)?.[1] ?? "");
function askWho() { $("name").value = who; $("ask").showModal(); $("name").select(); }
$("ask").addEventListener("cancel", (event) => { if (!who) event.preventDefault(); });
$("ask").addEventListener("close", () => {
  const name = $("name").value.trim();
  if (!name) return who ? null : askWho();
  document.cookie = `gpt4image_who=${encodeURIComponent(name)}; Max-Age=31536000; Path=/; SameSite=Strict`;
  if (name !== who) start(name);
});

const start = (name) => alone(async () => {
  who = name;
  $("who").textContent = who; $("who").hidden = false; $("who").setAttribute("aria-label", `${who} answers; change who`);
  const facts = await ask(`labels/facts?who=${encodeURIComponent(who)}`);
  classes = facts.classes; mine = facts.recent;
  if (seen[at]) show(); else await forward();
});

if (kept()) start(kept()); else askWho();
