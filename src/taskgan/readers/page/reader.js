"use strict";
// The page of a reader: voxels in three linked planes, questions, and answers that are saved as they are given.

const $ = (id) => document.getElementById(id);
const make = (tag, values = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
};

// --- Colours: 256 entries of red, green, blue.

const clamp = (v) => Math.max(0, Math.min(255, Math.round(v)));
const COLOURS = {
  grey: (t) => [t, t, t],
  inverse: (t) => [255 - t, 255 - t, 255 - t],
  hot: (t) => [3 * t, 3 * t - 255, 3 * t - 510],
  rainbow: (t) => [510 - Math.abs(4 * t - 1020), 510 - Math.abs(4 * t - 510), t < 8 ? 32 * t : 510 - 4 * t],
};

// --- The viewer. Values lie as (Z, Y, X, C); axes grow to the patient's right, front and head, and the right is shown left.

class Viewer {
  constructor(host, item, buffer, colours, onMark) {
    Object.assign(this, { host, shape: item.shape, spacing: item.spacing, channels: item.channels, colours, onMark });
    this.most = 2 ** item.bits - 1;
    this.values = item.bits === 8 ? new Uint8Array(buffer) : new Uint16Array(buffer);
    this.first = item.window;
    this.window = [...item.window];
    this.cross = this.shape.map((n) => Math.floor(n / 2));
    [this.marks, this.truth] = [[], []];
    const flat = this.shape[2] === 1;
    // Axes that go right, down and through; the image's axes that grow against the screen are turned.
    const planes = { coronal: [0, 2, 1], sagittal: [1, 2, 0], axial: [0, 1, 2] };
    this.planes = Object.entries(planes).filter(([name]) => !flat || name === "axial").map(([name, axes]) => ({
      name, axes, canvas: make("canvas", { tabIndex: -1 }), image: make("canvas"),
    }));
    this.active = this.planes[this.planes.length - 1];
    this.enlarged = false;
    for (const plane of this.planes) {
      plane.image.width = this.shape[plane.axes[0]];
      plane.image.height = this.shape[plane.axes[1]];
      this.listen(plane);
      host.append(plane.canvas);
    }
    this.layout();
  }

  remove() { this.planes.forEach((plane) => plane.canvas.remove()); }

  layout() {
    const mm = this.shape.map((n, k) => n * this.spacing[k]);
    const alone = this.enlarged || this.planes.length === 1;
    const { clientWidth: width, clientHeight: height } = this.host;
    const one = this.active.axes;
    const size = alone ? [mm[one[0]], mm[one[1]]] : [mm[0] + mm[1], mm[2] + mm[1]];
    const scale = 0.97 * Math.min(width / size[0], height / size[1]);
    const corner = [(width - scale * size[0]) / 2, (height - scale * size[1]) / 2];
    const places = { coronal: [0, 0], sagittal: [mm[0], 0], axial: [0, mm[2]] };
    for (const plane of this.planes) {
      const place = alone ? [0, 0] : places[plane.name];
      const [w, h] = [scale * mm[plane.axes[0]], scale * mm[plane.axes[1]]];
      const { canvas } = plane;
      canvas.hidden = alone && plane !== this.active;
      canvas.width = Math.max(1, Math.round(w * devicePixelRatio));
      canvas.height = Math.max(1, Math.round(h * devicePixelRatio));
      Object.assign(canvas.style, {
        width: `${w}px`, height: `${h}px`,
        left: `${corner[0] + scale * place[0]}px`, top: `${corner[1] + scale * place[1]}px`,
      });
    }
    this.draw();
  }

  // The place on the screen, 0 to 1, of the middle of a voxel, and back; every axis but the front of a sagittal
  // plane grows against the screen, and that one does too: the front is on the left.
  onScreen(axis, index) { return 1 - (index + 0.5) / this.shape[axis]; }
  fromScreen(axis, place) { return Math.max(0, Math.min(this.shape[axis] - 1, Math.floor((1 - place) * this.shape[axis]))); }

  draw() {
    const [low, high] = this.window;
    const table = new Uint8ClampedArray(768);
    for (let t = 0; t < 256; t++) table.set(COLOURS[this.colours](t).map(clamp), 3 * t);
    for (const plane of this.planes) if (!plane.canvas.hidden) this.drawPlane(plane, low, 256 / (high - low), table);
    const percent = (v) => Math.round((100 * v) / this.most);
    const place = this.planes.length > 1 ? `${this.cross.map((v) => v + 1).join(" · ")}\n` : "";
    $("window").textContent = `${place}${this.colours} ${percent(low)}–${percent(high)} %`;
    $("window").style.whiteSpace = "pre-line";
  }

  drawPlane({ axes, canvas, image, name }, low, factor, table) {
    const [u, v, w] = axes;
    const [nx, ny] = this.shape;
    const step = [1, nx, nx * ny].map((s) => s * this.channels);
    const [width, height] = [this.shape[u], this.shape[v]];
    const context = image.getContext("2d");
    const pixels = context.createImageData(width, height);
    const colour = this.channels === 3 ? [0, 1, 2] : [0, 0, 0];
    for (let j = 0, k = 0; j < height; j++) {
      let at = this.cross[w] * step[w] + (height - 1 - j) * step[v] + (width - 1) * step[u];
      for (let i = 0; i < width; i++, k += 4, at -= step[u]) {
        for (let c = 0; c < 3; c++) {
          const t = Math.max(0, Math.min(255, Math.floor((this.values[at + colour[c]] - low) * factor)));
          pixels.data[k + c] = this.channels === 3 ? t : table[3 * t + c];
        }
        pixels.data[k + 3] = 255;
      }
    }
    context.putImageData(pixels, 0, 0);
    const out = canvas.getContext("2d");
    const [W, H] = [canvas.width, canvas.height];
    out.imageSmoothingQuality = "high";
    out.drawImage(image, 0, 0, W, H);
    canvas.className = this.planes.length > 1 && name === this.active.name ? "active" : "";
    if (this.planes.length > 1) this.drawCross(out, u, v, W, H);
    for (const [places, ink] of [[this.marks, "#ff4fd8"], [this.truth, "#39ff88"]])
      for (const place of places) this.drawMark(out, place, axes, W, H, ink);
  }

  drawCross(out, u, v, W, H) {
    const [x, y] = [this.onScreen(u, this.cross[u]) * W, this.onScreen(v, this.cross[v]) * H];
    const gap = 9 * devicePixelRatio;
    out.strokeStyle = "rgba(70, 160, 255, 0.75)";
    out.lineWidth = devicePixelRatio;
    out.beginPath();
    const lines = [[0, y, x - gap, y], [x + gap, y, W, y], [x, 0, x, y - gap], [x, y + gap, x, H]];
    lines.forEach(([a, b, c, d]) => { out.moveTo(a, b); out.lineTo(c, d); });
    out.stroke();
    out.fillStyle = "#8ab";
    out.font = `${12 * devicePixelRatio}px sans-serif`;
    out.fillText(u === 0 ? "R" : "A", 4 * devicePixelRatio, 14 * devicePixelRatio);
  }

  drawMark(out, place, [u, v, w], W, H, ink) {
    const away = Math.abs(place[w] - this.cross[w]) * this.spacing[w];
    if (away > 6) return;
    out.strokeStyle = ink;
    out.lineWidth = (away < this.spacing[w] ? 2 : 1) * devicePixelRatio;
    out.beginPath();
    out.arc(this.onScreen(u, place[u]) * W, this.onScreen(v, place[v]) * H, 8 * devicePixelRatio, 0, 7);
    out.stroke();
  }

  listen(plane) {
    const { canvas, axes: [u, v, w] } = plane;
    let last = null;
    const move = (event) => {
      const box = canvas.getBoundingClientRect();
      this.cross[u] = this.fromScreen(u, (event.clientX - box.left) / box.width);
      this.cross[v] = this.fromScreen(v, (event.clientY - box.top) / box.height);
      this.draw();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY, event.button];
      this.active = plane;
      if (event.button === 0) move(event);
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      if (last[2] === 0) return move(event);
      this.changeWindow(1 + (event.clientX - last[0]) / 200, (last[1] - event.clientY) / 400);
      last = [event.clientX, event.clientY, last[2]];
    });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.mark());
    canvas.addEventListener("wheel", (event) => {
      this.active = plane;
      this.step(w, event.deltaY > 0 ? -1 : 1);
      event.preventDefault();
    }, { passive: false });
  }

  step(axis, count) {
    this.cross[axis] = Math.max(0, Math.min(this.shape[axis] - 1, this.cross[axis] + count));
    this.draw();
  }

  changeWindow(wider, shift) {
    const [low, high] = this.window;
    const middle = (low + high) / 2 + shift * (high - low);
    const half = Math.max(this.most / 1000, Math.min(this.most, ((high - low) / 2) * wider));
    this.window = [middle - half, middle + half];
    this.draw();
  }

  mark() { this.onMark?.([...this.marks, [...this.cross]]); }

  key(event) {
    const names = Object.keys(COLOURS);
    const plane = { a: "axial", c: "coronal", s: "sagittal" }[event.key.toLowerCase()];
    const through = this.active.axes[2];
    const many = event.shiftKey ? 5 : 1;
    if (event.key === "ArrowUp") this.step(through, many);
    else if (event.key === "ArrowDown") this.step(through, -many);
    else if (event.key === "[") this.changeWindow(0.9, 0);
    else if (event.key === "]") this.changeWindow(1.1, 0);
    else if (event.key === "-") this.changeWindow(1, 0.05);
    else if (event.key === "=" || event.key === "+") this.changeWindow(1, -0.05);
    else if (event.key === "r") { this.window = [...this.first]; this.draw(); }
    else if (event.key === "k") { this.colours = names[(names.indexOf(this.colours) + 1) % names.length]; this.draw(); }
    else if (event.key === "e") { this.enlarged = !this.enlarged; this.layout(); }
    else if (event.key === "m") this.mark();
    else if (event.key === "u" && this.onMark) this.onMark(this.marks.slice(0, -1));
    else if (plane && this.planes.length > 1) { this.active = this.planes.find((p) => p.name === plane); this.layout(); }
    else return false;
    return true;
  }
}

// --- Answers: each is sent as it is given, in order, and again until the server has it.

let [state, viewer, answers, sending, feedback] = [null, null, {}, false, false];
const waiting = new Map();
let looked = { since: performance.now(), sum: 0 };

const seen = () => {
  const now = performance.now();
  const sum = looked.sum + (document.hidden ? 0 : now - looked.since);
  looked = { since: now, sum: 0 };
  return sum / 1000;
};
document.addEventListener("visibilitychange", () => {
  const now = performance.now();
  looked = { since: now, sum: looked.sum + (document.hidden ? now - looked.since : 0) };
});

async function ask(path, values) {
  const options = values === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF": state.csrf },
    body: JSON.stringify(values),
  };
  const response = await fetch(path, { ...options, cache: "no-store" });
  if (path.startsWith("/api/image/") && response.ok) return response.arrayBuffer();
  const found = await response.json();
  if (!response.ok) throw Object.assign(new Error(found.error), { status: response.status });
  return found;
}

const say = (text, bad) => Object.assign($("saved"), { textContent: text, className: bad ? "bad" : "" });

function give(question, value) {
  answers[question] = value;
  waiting.set(question, value);
  say("saving …");
  refresh();
  flush();
}

async function flush() {
  if (sending) return;
  sending = true;
  while (waiting.size) {
    const [question, value] = waiting.entries().next().value;
    const seconds = seen();
    try {
      await ask("/api/answer", { id: state.item.id, question, value, seconds });
      if (waiting.get(question) === value) waiting.delete(question);
      say(waiting.size ? "saving …" : "saved");
    } catch (error) {
      looked.sum += seconds * 1000;
      if ([401, 404, 409].includes(error.status)) { waiting.clear(); await load(); break; }
      if (error.status === 422) { waiting.delete(question); say(error.message, true); continue; }
      say("not saved; trying again …", true);
      await new Promise((done) => setTimeout(done, 1500));
    }
    refresh();
  }
  sending = false;
  refresh();
}

function refresh() {
  if (!state || !state.item) return;
  const absent = state.form.questions.filter((q) => ["decision", "likert"].includes(q.type) && !complete(q));
  $("next").disabled = absent.length > 0;
  $("absent").textContent = feedback || !absent.length ? "" : `left: ${absent.map((q) => q.text).join(", ")}`;
}

const complete = (q) => (q.type === "decision" ? answers[q.id]?.decision !== undefined
  && answers[q.id].confidence !== undefined : answers[q.id] !== undefined);

// --- The form.

function radios(name, entries, chosen, pick) {
  return make("div", { className: "row" }, ...entries.map(([value, text]) => {
    const input = make("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => pick(value));
    // After a click arrow keys move slices again, and not the choice.
    input.addEventListener("click", (event) => { if (event.detail) input.blur(); });
    return make("label", {}, input, text);
  }));
}

function field(q) {
  const box = make("fieldset", { id: `q-${q.id}` }, make("legend", { textContent: q.text }));
  const given = answers[q.id];
  const numbers = (n) => Array.from({ length: n }, (_, k) => [k + 1, String(k + 1)]);
  const ends = (low, high) => make("div", { className: "ends" }, make("span", { textContent: low }), make("span", { textContent: high }));
  if (q.type === "decision") {
    const part = (change) => {
      const value = { ...answers[q.id], ...change };
      answers[q.id] = value;
      if (complete(q)) give(q.id, value);
      else refresh();
    };
    box.append(radios(q.id, [[0, q.negative], [1, q.positive]], given?.decision, (v) => part({ decision: v })));
    if (q.confidence === 5) {
      box.append(radios(`${q.id}-sure`, numbers(5), given?.confidence, (v) => part({ confidence: v })));
    } else {
      const range = make("input", { type: "range", min: 0, max: 100, value: given?.confidence ?? 50, id: `${q.id}-sure` });
      range.addEventListener("change", () => { part({ confidence: Number(range.value) }); range.blur(); });
      box.append(make("div", { className: "row" }, range));
    }
    box.append(ends("guess", "certain"));
  } else if (q.type === "likert") {
    box.append(radios(q.id, numbers(q.points), given, (v) => give(q.id, v)), ends(q.low, q.high));
  } else if (q.type === "choices") {
    const row = make("div", { className: "row" });
    for (const option of q.options) {
      const input = make("input", { type: "checkbox", checked: (given || []).includes(option) });
      input.addEventListener("change", () => give(q.id, q.options.filter((_, k) => row.querySelectorAll("input")[k].checked)));
      input.addEventListener("click", (event) => { if (event.detail) input.blur(); });
      row.append(make("label", {}, input, option));
    }
    box.append(row);
  } else if (q.type === "text") {
    const area = make("textarea", { maxLength: 2000, value: given || "", ariaLabel: q.text });
    let timer;
    area.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => give(q.id, area.value), 400); });
    area.addEventListener("blur", () => { clearTimeout(timer); if (area.value !== (answers[q.id] || "")) give(q.id, area.value); });
    box.append(area);
  } else {
    box.append(make("div", { id: "marks" }));
  }
  return box;
}

function showMarks(q) {
  const places = answers[q.id] || [];
  viewer.marks = places;
  $("marks").replaceChildren(...places.map((place, k) => {
    const button = make("button", { type: "button", className: "small", textContent: `${k + 1}: ${place.map((v) => v + 1).join(" · ")} ×` });
    button.addEventListener("click", () => { give(q.id, places.filter((_, j) => j !== k)); showMarks(q); });
    return button;
  }), places.length ? "" : "none yet");
  viewer.draw();
}

// --- From case to case.

async function load() {
  try {
    await show(await ask("/api/state"));
  } catch (error) {
    viewer?.remove();
    $("panel").hidden = true;
    $("message").hidden = false;
    $("message").textContent = error.status ? `${error.message}.` : "The server does not answer; trying again …";
    if (!error.status || error.status === 429) setTimeout(load, 2000);
  }
}

async function show(found) {
  state = found;
  answers = { ...state.answers };
  feedback = false;
  waiting.clear();
  viewer?.remove();
  viewer = null;
  const { item, form } = state;
  document.title = $("title").textContent = form.title;
  const session = item?.session ? `session ${item.session} of ${state.sessions}` : "training";
  $("where").textContent = item ? `${state.reader}, ${session}, case ${state.done + 1} of ${state.total}` : state.reader;
  for (const [id, hidden] of [["panel", !item], ["message", item], ["feedback", true]]) $(id).hidden = Boolean(hidden);
  $("window").textContent = "";
  say("");
  if (!item) {
    $("message").textContent = state.opens
      ? `Thank you. This session is done; the next one opens on ${state.opens}, with the same link.`
      : "Thank you. You have read all cases.";
    return;
  }
  const buffer = await ask(`/api/image/${item.id}`);
  const q = form.questions.find((one) => one.type === "marks");
  const mark = q && ((places) => { if (!feedback) { give(q.id, places); showMarks(q); } });
  viewer = new Viewer($("view"), item, buffer, form.colours, mark);
  $("instructions").textContent = form.instructions;
  $("markkeys").hidden = !q;
  $("questions").replaceChildren(...form.questions.map(field));
  $("next").textContent = item.training ? "Compare with the truth" : "Next case";
  if (q) showMarks(q);
  looked = { since: performance.now(), sum: 0 };
  refresh();
}

async function next() {
  if ($("next").disabled) return;
  if (feedback) return load();
  $("next").disabled = true;
  while (waiting.size || sending) await new Promise((done) => setTimeout(done, 20));
  try {
    const found = await ask("/api/next", { id: state.item.id, seconds: seen() });
    feedback = Boolean(found.feedback);
    if (!feedback) return show(found);
    const { right, truth, lesions } = found.feedback;
    const text = `${right ? "Right" : "Wrong"}: ${truth}.`;
    Object.assign($("feedback"), { textContent: text, className: right ? "good" : "bad", hidden: false });
    $("questions").querySelectorAll("input, textarea, button").forEach((e) => { e.disabled = true; });
    viewer.truth = lesions;
    viewer.draw();
    $("next").textContent = "Next case";
    $("next").disabled = false;
  } catch (error) {
    if (error.status) return load();
    say("the server does not answer; press again", true);
    refresh();
  }
}

$("next").addEventListener("click", next);
$("questions").addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("resize", () => viewer?.layout());
window.addEventListener("pageshow", (event) => { if (event.persisted) load(); });
window.addEventListener("beforeunload", (event) => { if (waiting.size) event.preventDefault(); });
document.addEventListener("keydown", (event) => {
  const typing = event.target.tagName === "TEXTAREA" || event.target.type === "range";
  const choosing = event.target.tagName === "INPUT" && event.key.startsWith("Arrow");
  if (!viewer || typing || choosing || event.ctrlKey || event.metaKey || event.altKey) return;
  const q = state.form.questions.find((one) => one.type === "decision");
  const pick = (name, value) => document.querySelector(`input[name="${name}"][value="${value}"]`)?.click();
  if (event.key === "Enter" && event.target.tagName !== "BUTTON") next();
  else if (event.key === "y" || event.key === "n") pick(q.id, event.key === "y" ? 1 : 0);
  else if (q.confidence === 5 && /^[1-5]$/.test(event.key)) pick(`${q.id}-sure`, event.key);
  else if (!viewer.key(event)) return;
  event.preventDefault();
});
load();
