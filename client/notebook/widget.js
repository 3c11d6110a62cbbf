/**
 * The widget of widget.py in the page of a notebook: a picture, a byte axis with its quality, and a
 * realism dial.  `model` has the attributes of PictureWidget.
 */

const SVG = "http://www.w3.org/2000/svg";

/** A number of bytes for people. */
function bytes(count) {
  return `${count.toLocaleString("en")} bytes`;
}

/** An element with attributes and children. */
function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A slider with its name, and what it says. */
function slider(name, attributes) {
  const input = made("input", { type: "range", ...attributes });
  return { input, label: made("label", {}, made("span", {}, name), input) };
}

function render({ model, el }) {
  const image = made("img");
  const axis = slider("Bytes", { min: "1", step: "1" });
  const dial = slider("Realism", { min: "0", max: "1", step: "0.05" });
  const curve = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "polyline");
  const all = made("input", { type: "checkbox" });
  const caption = made("figcaption", { "aria-live": "off" });
  const status = made("span", { role: "status" });
  curve.setAttribute("aria-hidden", "true");
  curve.setAttribute("viewBox", "0 0 100 100");
  curve.setAttribute("preserveAspectRatio", "none");
  curve.append(line);
  axis.label.append(curve);
  const newest = made("label", {}, made("span", {}, "All that is here"), all);
  el.append(
    made(
      "figure",
      { class: "diffc-picture" },
      image,
      axis.label,
      newest,
      dial.label,
      caption,
      status,
    ),
  );
  let url = "";

  function showImage() {
    const data = model.get("image");
    if (!data?.byteLength) return;
    const old = url;
    url = URL.createObjectURL(new Blob([data], { type: "image/png" }));
    image.src = url;
    if (old) URL.revokeObjectURL(old);
  }

  function showSize() {
    const [width, height] = model.get("size");
    if (!width) return;
    image.width = width; // what it takes is known before it is there
    image.height = height;
  }

  function showAlt() {
    image.alt = model.get("alt");
  }

  function showAxis() {
    const received = model.get("received");
    const prefix = model.get("prefix");
    axis.input.max = String(Math.max(1, received));
    axis.input.disabled = received === 0;
    axis.input.value = String(prefix || received);
    axis.input.setAttribute("aria-valuetext", prefix ? bytes(prefix) : `all ${bytes(received)}`);
    all.checked = prefix === 0;
    const offsets = model.get("offsets");
    const psnr = model.get("psnr");
    if (offsets.length !== psnr.length) return; // the other one is about to come
    const top = Math.max(...psnr, 1);
    const points = offsets.map(
      (offset, i) => `${(100 * offset) / received},${100 - (100 * psnr[i]) / top}`,
    );
    line.setAttribute("points", points.join(" "));
  }

  function showDial() {
    dial.input.value = String(model.get("realism"));
    dial.input.setAttribute("aria-valuetext", model.get("realism").toFixed(2));
  }

  function showFacts() {
    const { bytes: count, bpp, predicted_psnr: psnr, realism } = model.get("shown");
    if (!count) return;
    const quality = psnr === null ? [] : [`about ${psnr.toFixed(1)} dB`];
    const look = realism > 0 ? ["detail is synthesised"] : [];
    caption.textContent = [
      bytes(count),
      `${bpp.toFixed(2)} bits per pixel`,
      ...quality,
      ...look,
    ].join(", ");
  }

  function showStatus() {
    const words = model.get("status");
    status.textContent = words;
    status.toggleAttribute("data-failed", !["", "receiving", "complete"].includes(words));
    image.setAttribute("aria-busy", String(words === "receiving"));
  }

  function wish(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  axis.input.addEventListener("input", () => wish("prefix", Number(axis.input.value)));
  all.addEventListener("change", () => wish("prefix", all.checked ? 0 : Number(axis.input.value)));
  dial.input.addEventListener("input", () => wish("realism", Number(dial.input.value)));

  const showing = {
    "change:image": showImage,
    "change:size": showSize,
    "change:alt": showAlt,
    "change:received change:prefix change:offsets change:psnr": showAxis,
    "change:realism": showDial,
    "change:shown": showFacts,
    "change:status": showStatus,
  };
  for (const [events, show] of Object.entries(showing)) {
    for (const event of events.split(" ")) model.on(event, show);
    show();
  }
  return () => {
    for (const [events, show] of Object.entries(showing)) {
      for (const event of events.split(" ")) model.off(event, show);
    }
    if (url) URL.revokeObjectURL(url);
  };
}

export default { render };
