// The page's script. Images are tiles that `draw` paints; samples of other kinds are shown together, as their codec shows them.
const $ = (id) => document.getElementById(id);
const ARE_IMAGES = model.kind === "image";
const OFF = 2.5;  // of the truncation's slider: no truncation
const STEPS = Math.min(16, model.limit);  // of an interpolation
const MOVES = model.limit < 7 ? 3 : 7;  // samples along a direction, of which the middle one is not moved
const DEFAULTS = {direction: "1", reach: "3"};
let shown = {samples: null, start: 0, num: 0};  // what the grid holds
let chosen = 0;  // index of the sample beside it
let way = null;  // samples of the interpolation
let playing = null;

// Add a player of what a URL answers to a place, if samples are sounds.
function play(place, url) {
  if (model.kind !== "sound") return;
  const audio = document.createElement("audio");
  audio.controls = true;
  audio.preload = "none";
  audio.src = url;
  place.append(audio);
}

async function asked(url) {
  const answer = await fetch(url);
  if (!answer.ok) {
    const error = await answer.json().catch(() => ({field: "server", problem: answer.statusText, remedy: "try again"}));
    throw new Error(`${error.field}: ${error.problem}; ${error.remedy}`);
  }
  return answer;
}

// Show what a URL answers as one image.
async function preview(place, url) {
  const image = new Image();
  image.className = "preview";
  image.alt = place.id;
  image.src = URL.createObjectURL(await (await asked(url)).blob());
  await image.decode();
  URL.revokeObjectURL(image.src);
  place.replaceChildren(image);
}

// NumPy's format: magic, version, length of a header that names shape and type, then the array.
async function samplesAt(url) {
  const data = await (await asked(url)).arrayBuffer();
  const length = new DataView(data).getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(data, 10, length));
  const [num, ...shape] = header.match(/'shape': \(([^)]*)\)/)[1].split(",").map((part) => part.trim()).filter(Boolean).map(Number);
  const size = shape.reduce((product, side) => product * side, 1);
  const values = new Uint8Array(data, 10 + length);
  return {shape, items: Array.from({length: num}, (_, index) => values.subarray(index * size, (index + 1) * size))};
}

// Paint a sample [channels, height, width]: 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha.
function drawIn(place, values, shape) {
  const canvas = document.createElement("canvas");
  draw(canvas, values, shape);
  place.replaceChildren(canvas);
}

function draw(canvas, values, [channels, height, width]) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height), area = height * width, colours = channels > 2 ? 3 : 1;
  for (let pixel = 0; pixel < area; pixel++) {
    for (let colour = 0; colour < 3; colour++) image.data[4 * pixel + colour] = values[(colours === 3 ? colour : 0) * area + pixel];
    image.data[4 * pixel + 3] = channels % 2 ? 255 : values[colours * area + pixel];
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function settings() {
  const chosenClass = $("class") ? $("class").value : "";
  const found = {seed: $("seed").value || "0"};
  if (chosenClass) found.class = chosenClass;
  if (Number($("truncation").value) < OFF) found.truncation = $("truncation").value;
  return found;
}

function query(values) {
  return new URLSearchParams({...(model.version ? {version: model.version} : {}), ...settings(), ...values}).toString();
}

const gridQuery = () => ({start: $("start").value || "0", num: $("num").value});
const wayQuery = () => ({from: $("from").value || "0", to: $("to").value || "0", num: STEPS});

const directionQuery = () => ({index: chosen, direction: $("direction").value, reach: $("reach").value, num: MOVES});

// The page's own address: the same settings, grid, sample and direction, of this version for ever.
function permalink(index) {
  const changed = ["direction", "reach"].filter((name) => $(name) && $(name).value !== DEFAULTS[name]);
  return "?" + query({...gridQuery(), sample: index, ...Object.fromEntries(changed.map((name) => [name, $(name).value]))});
}

function fail(error) {
  $("error").textContent = error.message;
  $("error").hidden = false;
}

async function showGrid() {
  const wanted = query(gridQuery()), start = Number($("start").value || 0);
  try {
    if (!ARE_IMAGES) await preview($("grid"), "samples?" + wanted);
    const samples = ARE_IMAGES ? await samplesAt("samples?" + query({...gridQuery(), format: "npy"})) : {items: []};
    if (wanted !== query(gridQuery())) return;  // a newer request is under way
    shown = {samples, start, num: Number($("num").value)};
  } catch (error) {
    return fail(error);
  }
  $("error").hidden = true;
  if (ARE_IMAGES) showTiles();
  $("previous").disabled = shown.start === 0;
  $("download-grid").href = "samples?" + query({...gridQuery(), download: "true"});
  showTruncation();
  await choose(chosen >= shown.start && chosen < shown.start + shown.num ? chosen : shown.start);
}

function showTiles() {
  const tiles = shown.samples.items.map((values, offset) => {
    const tile = document.createElement("a"), canvas = document.createElement("canvas"), index = shown.start + offset;
    draw(canvas, values, shown.samples.shape);
    tile.append(canvas);
    tile.className = "tile";
    tile.href = permalink(index);
    tile.title = `sample ${index}`;
    tile.setAttribute("aria-label", tile.title);
    tile.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      choose(index);
    });
    return tile;
  });
  $("grid").replaceChildren(...tiles);
  const columns = Math.ceil(Math.sqrt(1.7 * tiles.length)), least = tiles.length > 64 ? "3rem" : "4.4rem";
  $("grid").style.setProperty("--side", `max(${least}, 100% / ${columns} - 4px)`);
}

function showTruncation() {
  $("psi").textContent = Number($("truncation").value) < OFF ? $("truncation").value : "off";
}

async function choose(index) {
  chosen = index;
  const values = settings(), offset = index - shown.start;
  if (ARE_IMAGES) drawIn($("sample"), shown.samples.items[offset], shown.samples.shape);
  else await preview($("sample"), "samples?" + query({start: index, num: 1}));
  play($("sample"), "samples?" + query({start: index, num: 1, format: "wav"}));
  for (const [place, tile] of [...$("grid").children].entries()) tile.setAttribute("aria-current", String(place === offset));
  $("title").textContent = `Sample ${index}`;
  const rows = {version: model.version, ...values, index};
  $("facts").replaceChildren(...Object.entries(rows).filter(([, value]) => value !== null).flatMap(([name, value]) => {
    const term = document.createElement("dt"), fact = document.createElement("dd");
    term.textContent = name;
    fact.textContent = value;
    return [term, fact];
  }));
  $("download").href = "samples?" + query({start: index, num: 1, format: model.savedAs, download: "true"});
  $("permalink").href = permalink(index);
  history.replaceState(null, "", permalink(index));
  await showDirection();
}

// Show the chosen sample moved along a direction, if the version was published with some.
async function showDirection() {
  if (!$("direction")) return;
  const url = "direction?" + query(directionQuery()), reach = Number($("reach").value);
  $("moved").textContent = chosen;
  $("reached").textContent = `±${reach}`;
  $("download-direction").href = url + "&download=true";
  try {
    if (!ARE_IMAGES) await preview($("strip"), url);
    else showSteps(await samplesAt(url + "&format=npy"), reach, () => url === "direction?" + query(directionQuery()));
    play($("strip"), url + "&format=wav");
  } catch (error) {
    fail(error);
  }
}

function showSteps(moved, reach, isWanted) {
  if (!isWanted()) return;  // a newer request is under way
  $("strip").replaceChildren(...moved.items.map((values, place) => {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas"), caption = document.createElement("figcaption");
    draw(canvas, values, moved.shape);
    const step = reach * (2 * place / (moved.items.length - 1) - 1);
    caption.textContent = (step > 0 ? "+" : "") + Number(step.toFixed(2));
    figure.append(canvas, caption);
    return figure;
  }));
}

async function showWay() {
  $("download-way").href = "interpolation?" + query({...wayQuery(), download: "true"});
  if (!ARE_IMAGES) {
    await preview($("frame"), "interpolation?" + query(wayQuery())).catch(fail);
    return play($("frame"), "interpolation?" + query({...wayQuery(), format: "wav"}));
  }
  const isFirst = way === null;
  try {
    way = await samplesAt("interpolation?" + query({...wayQuery(), format: "npy"}));
  } catch (error) {
    return fail(error);
  }
  $("way").max = way.items.length - 1;
  if (isFirst) $("way").value = Math.floor(way.items.length / 2);
  showFrame();
}

function showFrame() {
  if (way) drawIn($("frame"), way.items[Math.min(Number($("way").value), way.items.length - 1)], way.shape);
}

function animate() {
  if (playing) {
    clearInterval(playing);
    playing = null;
  } else {
    playing = setInterval(() => {
      $("way").value = (Number($("way").value) + 1) % (Number($("way").max) + 1);
      showFrame();
    }, 120);
  }
  $("play").textContent = playing ? "Stop" : "Play";
}

const showAll = () => Promise.all([showGrid(), showWay()]);

function restore() {
  const asked = new URLSearchParams(location.search);
  const canBe = (place, value) => !place.options || [...place.options].some((option) => option.value === value);
  for (const name of ["seed", "start", "num", "class", "truncation", "direction", "reach"]) {
    if (asked.has(name) && $(name) && canBe($(name), asked.get(name))) $(name).value = asked.get(name);
  }
  chosen = Number(asked.get("sample") || $("start").value);
  $("from").value = chosen;
  $("to").value = chosen + 1;
}

for (const name of ["seed", "class", "truncation"]) if ($(name)) $(name).addEventListener("change", showAll);
for (const name of ["start", "num"]) $(name).addEventListener("change", showGrid);
for (const name of ["from", "to"]) $(name).addEventListener("change", showWay);
for (const name of ["direction", "reach"]) if ($(name)) $(name).addEventListener("change", () => choose(chosen));
$("truncation").addEventListener("input", showTruncation);
for (const name of ["way", "play"]) $(name).hidden = !ARE_IMAGES;
for (const name of ["settings", "along"]) if ($(name)) $(name).addEventListener("submit", (event) => event.preventDefault());
$("way").addEventListener("input", showFrame);
$("play").addEventListener("click", animate);
$("another").addEventListener("click", () => {
  $("seed").value = Math.floor(Math.random() * 2 ** 31);
  showAll();
});
for (const [name, sign] of [["previous", -1], ["next", 1]]) {
  $(name).addEventListener("click", () => {
    $("start").value = Math.max(0, Number($("start").value) + sign * Number($("num").value));
    showGrid();
  });
}
restore();
const ready = showAll();
