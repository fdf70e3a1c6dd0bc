const PAGE_SIZE = 48;
const BAD = new Set(["empty", "truncated", "refused", "reasoning_only", "unreadable_image", "endpoint_error", "rejected"]);
const $ = (id) => document.getElementById(id);
const filters = ["q", "class", "state", "labelled", "mark", "prompt"].map($);
let facts = null, matching = [], page = 0, run = 0;
const parts = new Map(), waiting = new Map();

const gallery = {
  index(loaded) {
    facts = loaded;
    fill("class", facts.classes, (name) => name || "no class");
    fill("state", facts.states); fill("mark", facts.marks); fill("prompt", facts.prompts); fill("labelled", facts.labels, (name) => name.replace("_", " "));
    for (const [id, names, least] of [["class", "classes", 2], ["labelled", "labels", 1], ["mark", "marks", 1], ["prompt", "prompts", 2]]) $(id).parentElement.hidden = facts[names].length < least;
    readAddress(); search();
  },
  part(number, entries) { parts.set(number, entries); waiting.get(number)?.resolve(entries); waiting.delete(number); },
};

function fill(id, names, label = (name) => name) {
  const select = $(id), chosen = select.value;
  while (select.options.length > 1) select.remove(1);
  names.map((name, number) => [label(name), number]).sort((a, b) => a[0].localeCompare(b[0])).forEach(([text, number]) => select.add(new Option(text, number)));
  select.value = chosen;
}

function loadPart(number) {
  if (parts.has(number)) return Promise.resolve(parts.get(number));
  if (!waiting.has(number)) {
    const promise = {};
    promise.done = new Promise((resolve, reject) => { promise.resolve = resolve; promise.reject = reject; });
    waiting.set(number, promise);
    const script = document.createElement("script");
    script.src = `data/${number}.js`;
    script.onload = () => script.remove();
    script.onerror = () => { waiting.delete(number); promise.reject(new Error("texts cannot be loaded")); };
    document.head.append(script);
  }
  return waiting.get(number).done;
}

async function entryAt(position) { return (await loadPart(Math.floor(position / facts.partSize)))[position % facts.partSize]; }

function passes(position) {
  const [wantClass, state, mark, label] = ["class", "state", "mark", "labelled"].map((id) => $(id).value);
  return (wantClass === "" || facts.classOf[position] === +wantClass)
    && (state === "" || (facts.statesOf[position] >> +state) & 1) && (mark === "" || (facts.marksOf[position] >> +mark) & 1)
    && (label === "" || facts.labelOf[position] === +label);
}

function contains(entry, words) {
  entry.lower ??= [entry[1], facts.classes[entry[2]], ...entry[4].map((text) => text[4])].join("\n").toLowerCase();
  return words.every((word) => entry.lower.includes(word));
}

async function search() {
  const mine = ++run, words = $("q").value.toLowerCase().split(/\s+/).filter(Boolean), total = facts.classOf.length;
  matching = [];
  if (!words.length) {
    for (let position = 0; position < total; position++) if (passes(position)) matching.push(position);
    return show();
  }
  let shown = false;
  for (let start = 0; start < total; start += facts.partSize) {
    const candidates = [];
    for (let position = start; position < Math.min(start + facts.partSize, total); position++) if (passes(position)) candidates.push(position);
    if (!candidates.length) continue;
    const entries = await loadPart(start / facts.partSize);
    if (mine !== run) return;
    matching.push(...candidates.filter((position) => contains(entries[position - start], words)));
    tell(`${count(matching.length)} found, searching …`);
    if (!shown && matching.length >= (page + 1) * PAGE_SIZE) { shown = true; await show(true); if (mine !== run) return; }
  }
  await show();
}

const count = (number) => number.toLocaleString("en");
const tell = (text) => { $("count").textContent = text; };

async function show(searching = false) {
  const mine = run, last = Math.max(0, Math.ceil(matching.length / PAGE_SIZE) - 1);
  if (!searching) page = Math.min(page, last);
  const entries = await Promise.all(matching.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map(entryAt)).catch((error) => { complain(error.message); return []; });
  if (mine !== run) return;
  $("entries").replaceChildren(...entries.map(card));
  $("empty").hidden = entries.length > 0;
  const total = facts.classOf.length;
  tell(matching.length === total ? `${count(total)} images` : `${count(matching.length)} of ${count(total)} images`);
  $("page").textContent = `page ${count(page + 1)} of ${count(last + 1)}`;
  $("previous").disabled = page === 0; $("next").disabled = page >= last;
  writeAddress();
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) name in element ? element[name] = value : element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function card(entry) {
  const [digest, key, className, pictured, texts, undoable, weighed] = entry, label = facts.classes[className];
  const photo = pictured
    ? make("img", { src: `thumbnails/${digest.slice(0, 2)}/${digest.slice(2)}.jpg`, alt: label ? `${label}: ${key}` : key, loading: "lazy", decoding: "async" })
    : "no picture";
  const wanted = $("prompt").value, shown = wanted === "" ? texts : texts.filter((text) => text[0] === +wanted);
  const foot = facts.editable && undoable ? make("div", { className: "actions foot" }, action("Undo last change", () => send(digest, { action: "undo" }))) : null;
  return make("li", { className: "entry" }, make("div", { className: "photo" }, photo),
    make("div", { className: "body" }, make("p", { className: "name" }, label || key, label ? make("small", {}, key) : null), weighed ? showLabel(weighed) : null,
      ...shown.map((text) => describe(digest, text)), shown.length ? null : make("p", { className: "soft small" }, "no description yet"), foot));
}

function showLabel([given, proposed, state, confidence]) {
  const name = facts.labels[state], from = given < 0 || given === proposed ? "" : facts.classes[given];
  return make("p", { className: "weighed" }, make("span", { className: `chip ${name === "overruled" || name === "open" ? "bad" : "mark"}` }, name.replace("_", " ")),
    make("span", {}, ...(from ? [make("del", { ariaLabel: `given: ${from}` }, from), " → "] : []), proposed < 0 ? "no class" : `${facts.classes[proposed]} ${Math.round(100 * confidence)} %`));
}

function describe(digest, text) {
  const [prompt, describer, sample, state, words, author, error, marks] = text, name = facts.states[state];
  const meta = make("div", { className: "meta" }, facts.prompts[prompt], " · ", author === "person" ? "written by a person" : facts.describers[describer] + (author === "lint" ? " · opening cut by lint" : ""),
    name === "ok" ? null : make("span", { className: `chip ${BAD.has(name) ? "bad" : ""}` }, name.replaceAll("_", " ")),
    ...marks.map((mark) => make("span", { className: "chip mark" }, facts.marks[mark])));
  const box = make("div", { className: `text ${name}` }, meta, make("p", {}, words), error ? make("div", { className: "error" }, error) : null);
  if (facts.editable && name !== "queued") box.append(actions(digest, text, box));
  return box;
}

function actions(digest, text, box) {
  const which = { prompt: facts.prompts[text[0]], describer: facts.describers[text[1]], sample: text[2] };
  return make("div", { className: "actions" }, action("Edit", () => edit(digest, which, text, box)),
    facts.states[text[3]] === "rejected" ? null : action("Reject", () => send(digest, { action: "reject", ...which })),
    action("Re-queue", () => send(digest, { action: "requeue", ...which })));
}

const action = (label, click) => make("button", { type: "button", onclick: click }, label);

function edit(digest, which, text, box) {
  const field = make("textarea", { value: text[4], ariaLabel: "Description" });
  const back = () => box.replaceWith(describe(digest, text));
  field.addEventListener("keydown", (event) => { if (event.key === "Escape") back(); });
  box.replaceChildren(box.firstChild, field, make("div", { className: "actions" },
    action("Save", () => send(digest, { action: "edit", text: field.value, ...which })), action("Cancel", back)));
  field.focus();
}

async function send(digest, change) {
  const response = await fetch("change", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ digest, ...change }) })
    .catch(() => null);
  const answer = response ? await response.json().catch(() => ({ error: "the server gave no answer" })) : { error: "the server does not answer; is gpt4image gallery still running?" };
  if (!response?.ok) return complain(answer.error);
  for (const name of ["classes", "states", "marks", "prompts", "describers", "labels"]) facts[name] = answer[name];
  fill("state", facts.states); fill("mark", facts.marks); fill("labelled", facts.labels, (name) => name.replace("_", " ")); $("mark").parentElement.hidden = !facts.marks.length;
  const { position, entry, summary } = answer;
  [facts.classOf[position], facts.statesOf[position], facts.marksOf[position], facts.labelOf[position]] = summary;
  parts.get(Math.floor(position / facts.partSize))[position % facts.partSize] = entry;
  const place = matching.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).indexOf(position), fresh = card(entry);
  if (place >= 0) { $("entries").children[place].replaceWith(fresh); fresh.querySelector("button")?.focus(); }
}

function complain(text) {
  $("toast").textContent = text; $("toast").hidden = false;
  clearTimeout(complain.timer); complain.timer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const field of filters) {
    const names = { class: facts.classes, state: facts.states, labelled: facts.labels, mark: facts.marks, prompt: facts.prompts }[field.id];
    field.value = names ? (names.includes(given.get(field.id)) ? names.indexOf(given.get(field.id)) : "") : given.get(field.id) ?? "";
  }
  page = Math.max(0, (parseInt(given.get("page"), 10) || 1) - 1);
}

function writeAddress() {
  const names = { class: facts.classes, state: facts.states, labelled: facts.labels, mark: facts.marks, prompt: facts.prompts }, address = new URLSearchParams();
  for (const field of filters) if (field.value !== "") address.set(field.id, names[field.id] ? names[field.id][+field.value] : field.value);
  if (page) address.set("page", page + 1);
  history.replaceState(null, "", address.size ? `#${address}` : location.pathname);
}

function turn(step) {
  if (!facts || $(step < 0 ? "previous" : "next").disabled) return;
  page += step; run++;
  show().then(() => { scrollTo(0, 0); $("entries").focus({ preventScroll: true }); });
}

let typing;
$("q").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { page = 0; search(); }, 200); });
for (const field of filters.slice(1)) field.addEventListener("change", () => { page = 0; search(); });
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", () => setTimeout(() => { page = 0; search(); }));
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
addEventListener("hashchange", () => { readAddress(); search(); });
addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowLeft") turn(-1);
  if (event.key === "ArrowRight") turn(1);
  if (event.key === "/") { event.preventDefault(); $("q").focus(); }
});
