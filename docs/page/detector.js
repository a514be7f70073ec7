// The detector in a browser: what around the exported graphs is left to do in JavaScript.
//
// Special: files are base64 in scripts, because a page opened from a disk may not read files; every
// step equals the package's (clip.preprocess, scoring, normal, decision), and a test compares them.
// Use: `await aaclip.start()`, `await aaclip.look(picture)`, `await aaclip.judge(seen, state)`.
"use strict";

const aaclip = { files: {}, graphs: {}, facts: null };

// ---- files ------------------------------------------------------------------------------------

aaclip.load = (name) =>
  new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `page/${name}.js`;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`page/${name}.js is missing: make book writes it`));
    document.head.append(script);
  });

aaclip.bytes = async (name) => {
  if (!(name in aaclip.files)) await aaclip.load(name);
  const packed = Uint8Array.from(atob(aaclip.files[name]), (c) => c.charCodeAt(0));
  delete aaclip.files[name]; // megabytes of text that are not needed again
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

aaclip.graph = async (name) => {
  aaclip.graphs[name] ??= ort.InferenceSession.create(await aaclip.bytes(name));
  return aaclip.graphs[name];
};

aaclip.start = async () => {
  await aaclip.load("facts");
  await aaclip.load("ort.wasm.min");
  const module = new Blob([await aaclip.bytes("ort.mjs")], { type: "text/javascript" });
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // threads need a server that sends certain headers
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(module) };
  ort.env.wasm.wasmBinary = await aaclip.bytes("ort.wasm");
  for (const name of ["tower", "judge"]) await aaclip.graph(name);
};

const floats = (values, ...shape) => new ort.Tensor("float32", values, shape);
const longs = (values, ...shape) =>
  new ort.Tensor("int64", BigInt64Array.from(values, (value) => BigInt(value)), shape);

// ---- pictures ---------------------------------------------------------------------------------

// Weights of a bicubic resize that averages where it shrinks: for each output place, where its
// inputs begin and what each counts.
function bicubic(from, to) {
  const a = -0.5;
  const scale = from / to;
  const wide = Math.max(scale, 1);
  const curve = (x) => {
    x = Math.abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
  };
  return Array.from({ length: to }, (_, i) => {
    const centre = scale * (i + 0.5);
    const first = Math.max(Math.floor(centre - 2 * wide + 0.5), 0);
    const last = Math.min(Math.floor(centre + 2 * wide + 0.5), from);
    const weights = [];
    for (let j = first; j < last; j++) weights.push(curve((j - centre + 0.5) / wide));
    const sum = weights.reduce((one, other) => one + other, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

// ImageData -> (1, 3, S, S) in [0, 1]
function resized({ data, width, height }, side) {
  const out = new Float32Array(3 * side * side);
  const columns = bicubic(width, side);
  const rows = bicubic(height, side);
  for (let channel = 0; channel < 3; channel++) {
    const narrow = new Float32Array(height * side);
    for (let y = 0; y < height; y++)
      columns.forEach(({ first, weights }, x) => {
        let sum = 0;
        weights.forEach((w, k) => (sum += w * data[4 * (y * width + first + k) + channel]));
        narrow[y * side + x] = sum / 255;
      });
    rows.forEach(({ first, weights }, y) => {
      for (let x = 0; x < side; x++) {
        let sum = 0;
        weights.forEach((w, k) => (sum += w * narrow[(first + k) * side + x]));
        out[(channel * side + y) * side + x] = Math.min(Math.max(sum, 0), 1);
      }
    });
  }
  return out;
}

async function seenIn(image) {
  const side = aaclip.facts.image_size;
  const tower = await aaclip.graph("tower");
  return tower.run({ image: floats(image, 1, 3, side, side) });
}

// What the tower sees in a picture (ImageData); with it everything else is computed.
aaclip.look = async (picture) => {
  const image = resized(picture, aaclip.facts.image_size);
  return { ...(await seenIn(image)), image, width: picture.width, height: picture.height };
};

// A picture (3, S, S) moved up and left by whole pixels, its rim continued (references.moved)
function moved(image, down, right) {
  const side = aaclip.facts.image_size;
  const out = new Float32Array(image.length);
  for (let channel = 0; channel < 3; channel++)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        const row = Math.min(y + down, side - 1);
        const column = Math.min(x + right, side - 1);
        out[(channel * side + y) * side + x] = image[(channel * side + row) * side + column];
      }
  return out;
}

// ---- words ------------------------------------------------------------------------------------

aaclip.anchors = async (name) => {
  const { sentences, context, rows, other_row } = aaclip.facts;
  const tokenizer = await aaclip.tokenizer();
  const spoken = name.replace(/_/g, " ");
  const ids = sentences.map((each) => tokenizer.encode(each.split("{}").join(spoken)));
  const table = ids.flatMap((line) => line.map((token) => rows[token] ?? other_row));
  const ends = ids.map((line) => line.lastIndexOf(tokenizer.end));
  const words = await aaclip.graph("words");
  const given = { rows: longs(table, ids.length, context), ends: longs(ends, ends.length) };
  return (await words.run(given)).anchors;
};

// Words of a name that this CLIP has never read: to it they all look alike.
aaclip.unread = async (name) => {
  const tokenizer = await aaclip.tokenizer();
  const parts = name.replace(/_/g, " ").trim().split(/\s+/).filter(Boolean);
  return parts.filter((word) => tokenizer.split(word).some((t) => !(t in aaclip.facts.rows)));
};

// ---- maps, scores, lines ----------------------------------------------------------------------

// The patch grid enlarged to the picture, bilinear, pixel middles on pixel middles
function enlarged(grid, side, width, height) {
  const places = (from, to) =>
    Array.from({ length: to }, (_, i) => {
      const at = Math.max(((i + 0.5) * from) / to - 0.5, 0);
      const low = Math.floor(at);
      return { low, high: Math.min(low + 1, from - 1), share: at - low };
    });
  const across = places(side, width);
  const out = new Float32Array(width * height);
  places(side, height).forEach((row, y) =>
    across.forEach((column, x) => {
      const mixed = (line) =>
        grid[line * side + column.low] * (1 - column.share) +
        grid[line * side + column.high] * column.share;
      out[y * width + x] = mixed(row.low) * (1 - row.share) + mixed(row.high) * row.share;
    }),
  );
  return out;
}

// Raw map and score of what the tower saw; distances: of its patches from a bank, or null
async function measured(seen, anchors, distances) {
  const { grid, hottest, detection_factor } = aaclip.facts;
  const { levels, detection } = seen;
  const none = floats(new Float32Array(grid * grid), 1, 1, grid, grid);
  const judge = await aaclip.graph("judge");
  const found = await judge.run({ levels, detection, anchors, grid: distances ?? none });
  const map = enlarged(found.map.data, grid, seen.width, seen.height);
  const rising = map.slice().sort();
  const peaks = hottest.map((share) => mean(rising.subarray(-Math.max(1, Math.round(share * map.length)))));
  return { map, score: mean(peaks) + detection_factor * found.between.data[0] };
}

// The patches of several pictures, each read at several places within a patch. All are kept: which of
// them the package would thin away (references.make_bank) hangs on the last digits.
async function bankOf(references) {
  const { image_size, grid, readings } = aaclip.facts;
  const steps = [4, 2].find((n) => references.length * n ** 2 <= readings) ?? 1;
  const places = [...Array(steps).keys()].map((k) => Math.floor(((image_size / grid) * k) / steps));
  const bank = [];
  for (const [owner, one] of references.entries()) {
    for (const down of places)
      for (const right of places) {
        const seen = down || right ? await seenIn(moved(one.image, down, right)) : one;
        const [count, width] = seen.patches.dims;
        for (let row = 0; row < count; row++)
          bank.push({ patch: seen.patches.data.subarray(row * width, (row + 1) * width), owner });
      }
  }
  return bank;
}

async function distances(seen, bank) {
  const nearest = await aaclip.graph("nearest");
  const width = seen.patches.dims[1];
  const rows = new Float32Array(bank.length * width);
  bank.forEach(({ patch }, i) => rows.set(patch, i * width));
  const given = { patches: seen.patches, bank: floats(rows, bank.length, width) };
  return (await nearest.run(given)).grid;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values) => values.slice().sort((a, b) => a - b)[(values.length - 1) >> 1];

// The line that sound parts draw, each judged against the others (service/sound_parts.py)
aaclip.line = async (references, anchors) => {
  const { trust, reach, spread } = aaclip.facts;
  const scores = [];
  const pixels = [];
  const bank = await bankOf(references);
  for (const [number, one] of references.entries()) {
    const others = bank.filter(({ owner }) => owner !== number);
    const { map, score } = await measured(one, anchors, await distances(one, others));
    scores.push(score);
    pixels.push({ mean: mean(map), square: mean(map.map((value) => value * value)), n: map.length });
  }
  const total = mean(pixels.map(({ n }) => n));
  const centre = mean(pixels.map((p) => (p.mean * p.n) / total));
  const square = mean(pixels.map((p) => (p.square * p.n) / total));
  const middle = median(scores);
  const own = 1.4826 * median(scores.map((score) => Math.abs(score - middle)));
  const few = references.length - 1;
  const scatter = Math.sqrt((trust * spread ** 2 + few * own ** 2) / (trust + few));
  return {
    bank,
    map: [centre, Math.sqrt(Math.max(square - centre ** 2, 0))],
    score: [mean(scores), scatter],
    threshold: reach * Math.sqrt(1 + 1 / references.length),
  };
};

// Map and score in deviations above normal. line: of the product's own sound parts, or null, then
// the scale is that of other products and there is no verdict.
aaclip.judge = async (seen, anchors, line = null) => {
  const grid = line ? await distances(seen, line.bank) : null;
  const { map, score } = await measured(seen, anchors, grid);
  const scale = line ?? aaclip.facts.any_product;
  return {
    map: map.map((value) => (value - scale.map[0]) / scale.map[1]),
    score: (score - scale.score[0]) / scale.score[1],
    threshold: line ? line.threshold : null,
    anomalous: line ? (score - scale.score[0]) / scale.score[1] > line.threshold : null,
  };
};
