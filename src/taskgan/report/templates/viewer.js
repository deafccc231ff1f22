"use strict";
// All slices of a case, linked. A volume is a strip of slices below each other; its greys 0 to 255 are 0 to `most`.
(() => {
  const at = (name) => document.getElementById(`viewer-${name}`);
  const { cases, colours, errors } = JSON.parse(at("data").textContent);
  const [choice, slice, lower, upper, difference, images] =
    ["case", "slice", "lower", "upper", "difference", "images"].map(at);
  let current, panes = [];

  const make = (tag, values, ...children) => {
    const element = Object.assign(document.createElement(tag), values);
    element.append(...children);
    return element;
  };

  async function greys(uri) {
    const image = new Image();
    image.src = uri;
    await image.decode();
    const context = make("canvas", { width: image.width, height: image.height }).getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height).data.filter((_, k) => k % 4 === 0);
  }

  const shown = (value) => `${Number(value.toPrecision(3))} ${current.unit}`.trim();

  function draw() {
    const { slices, most, worst, clean, size: [height, width] } = current;
    const [low, high, first] = [Number(lower.value), Number(upper.value), slice.value * height * width];
    at("slice-is").textContent = `${slices.first + slices.step * slice.value + 1} of ${slices.all}`;
    at("lower-is").textContent = shown(low * most / 255);
    at("upper-is").textContent = shown(high * most / 255);
    at("difference-is").textContent = difference.checked ? `±${shown(worst)}, red too high, blue too low` : "";
    panes.forEach(({ canvas, strip, name }, k) => {
      if (!strip) return;
      const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
      const pixels = new Uint32Array(picture.data.buffer), truth = panes[clean].strip;
      const error = difference.checked && k !== clean, table = error ? errors : colours;
      for (let i = 0; i < pixels.length; i++) {
        const grey = strip[first + i];
        const share = error
          ? 0.5 + (grey - truth[first + i]) * most / 255 / (2 * worst) : (grey - low) / (high - low);
        pixels[i] = table[Math.max(0, Math.min(255, Math.floor(256 * share)))];
      }
      context.putImageData(picture, 0, 0);
      canvas.setAttribute("aria-label", `${name}${error ? " − clean" : ""}, slice ${at("slice-is").textContent}`);
    });
  }

  async function open(number) {
    const one = current = cases[number], [height, width] = one.size;
    panes = one.images.map(({ name }) => ({ name, canvas: make("canvas", { width, height }) }));
    images.replaceChildren(...panes.map(({ name, canvas }) => {
      canvas.setAttribute("role", "img");
      canvas.style.aspectRatio = width / (height * one.aspect);
      const sides = ["R", "L"].map((side) => make("span", { className: side, ariaHidden: "true" }, side));
      return make("figure", {}, make("div", {}, canvas, ...sides), make("figcaption", {}, name));
    }));
    slice.max = one.slices.count - 1;
    slice.value = one.slices.shown;
    lower.value = 0;
    upper.value = Math.round(255 * one.top / one.most);
    const strips = await Promise.all(one.images.map(({ strip }) => greys(strip)));
    if (one !== current) return; // another case was chosen meanwhile
    strips.forEach((strip, k) => { panes[k].strip = strip; });
    draw();
  }

  function move(steps) {
    const before = slice.value;
    slice.value = Number(before) + steps; // which stays within its ends
    draw();
    return slice.value !== before;
  }

  cases.forEach(({ title }, number) => choice.append(make("option", { value: number }, title)));
  choice.addEventListener("change", () => open(choice.value));
  slice.addEventListener("input", draw);
  difference.addEventListener("input", draw);
  lower.addEventListener("input", () => { upper.value = Math.max(upper.value, Number(lower.value) + 1); draw(); });
  upper.addEventListener("input", () => { lower.value = Math.min(lower.value, Number(upper.value) - 1); draw(); });
  images.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!steps) return;
    event.preventDefault();
    move(steps);
  });
  images.addEventListener("wheel", (event) => {
    if (move(-Math.sign(event.deltaY))) event.preventDefault(); // at an end the page scrolls on
  }, { passive: false });
  at("panel").hidden = false;
  open(0);
})();
