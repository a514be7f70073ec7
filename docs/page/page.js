// What the reader touches: parts, photos, words, sound parts; and what is shown of the answer.
//
// Special: one thing at a time (a queue), for the runtime answers one call at a time; `aaclip.last`
// is what was shown last, which the test reads.
"use strict";

{
  const LARGEST = 1024; // pixels: larger photos are made smaller first
  const $ = (id) => document.getElementById(id);
  const now = { words: "object", anchors: null, picture: null, seen: null, references: [], line: null, part: null };
  let queue = Promise.resolve();

  const say = (text) => ($("state").textContent = text);
  const next = (work) => {
    queue = queue.then(work).catch((error) => {
      say(`This did not work: ${error.message}`);
      console.error(error);
    });
    return queue;
  };

  // ---- pictures -------------------------------------------------------------------------------

  async function pixels(source) {
    const image = new Image();
    image.src = typeof source === "string" ? source : URL.createObjectURL(source);
    await image.decode().catch(() => {
      throw new Error(`${source.name ?? "this file"} is no picture that the browser can read`);
    });
    const share = Math.min(1, LARGEST / Math.max(image.naturalWidth, image.naturalHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.naturalWidth * share));
    canvas.height = Math.max(1, Math.round(image.naturalHeight * share));
    const brush = canvas.getContext("2d");
    brush.fillStyle = "white"; // what shines through a transparent picture
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.drawImage(image, 0, 0, canvas.width, canvas.height);
    return brush.getImageData(0, 0, canvas.width, canvas.height);
  }

  function paint() {
    const { picture } = now;
    if (!picture) return;
    const canvas = $("picture");
    canvas.width = picture.width;
    canvas.height = picture.height;
    const shown = new ImageData(picture.data.slice(), picture.width, picture.height);
    const { low, high } = aaclip.facts.overlay;
    if (aaclip.last && $("overlay").checked)
      aaclip.last.map.forEach((value, i) => {
        const share = 0.65 * Math.min(Math.max((value - low) / (high - low), 0), 1);
        [230, 30, 20].forEach((red, c) => {
          shown.data[4 * i + c] = shown.data[4 * i + c] * (1 - share) + red * share;
        });
      });
    canvas.getContext("2d").putImageData(shown, 0, 0);
  }

  // ---- the answer -----------------------------------------------------------------------------

  async function answer() {
    now.anchors ??= await aaclip.anchors(now.words);
    const enough = now.references.length >= aaclip.facts.fewest;
    if (enough) now.line ??= await aaclip.line(now.references, now.anchors);
    const count = now.references.length;
    $("references").textContent = enough
      ? `It remembers ${count} sound parts; they sharpen the map and draw the line.`
      : `${count} sound parts; ${aaclip.facts.fewest} are needed before they count.`;
    const unread = await aaclip.unread(now.words);
    $("unread").textContent = unread.length
      ? `This small CLIP has never read: ${unread.join(", ")}. All such words are the same to it.`
      : "";
    $("forget").disabled = !count;
    $("show").disabled = !now.part;
    if (!now.seen) return;
    const found = await aaclip.judge(now.seen, now.anchors, now.line);
    aaclip.last = { ...found, words: now.words };
    const { score, threshold, anomalous } = found;
    $("verdict").textContent =
      anomalous === null ? "No verdict yet" : anomalous ? "Called anomalous" : "Called sound";
    $("score").textContent =
      `Score ${score.toFixed(2)} deviations above what is normal` +
      (threshold === null ? " for products in general." : `, the line stands at ${threshold.toFixed(2)}.`);
    $("why").textContent =
      threshold === null
        ? `No line for ${now.words} yet: show it five sound parts.`
        : `Line from ${count} sound parts, with the scatter of other products: about 5 % of sound parts will be called anomalous.`;
    paint();
  }

  const judged = (change) =>
    next(async () => {
      say("Looking …");
      await new Promise((done) => setTimeout(done)); // let the browser say so first
      await change();
      await answer();
      say("Ready. Nothing that you drop leaves this page.");
    });

  async function look(source) {
    now.picture = await pixels(source);
    now.seen = await aaclip.look(now.picture);
  }

  function speak(words) {
    now.words = words.trim() || "object";
    $("words").value = now.words;
    now.anchors = now.line = null;
  }

  async function remember(sources) {
    const { most } = aaclip.facts;
    const room = most - now.references.length;
    if (sources.length > room)
      throw new Error(`${most} sound parts at most on this page; the package takes any number`);
    const seen = [];
    for (const source of sources) seen.push(await aaclip.look(await pixels(source)));
    now.references.push(...seen);
    now.line = null;
  }

  function forget() {
    now.references = [];
    now.line = null;
  }

  // ---- what can be touched --------------------------------------------------------------------

  function drop(id, use) {
    const box = $(id);
    const input = box.querySelector("input");
    const lit = (on) => (event) => {
      event.preventDefault();
      box.classList.toggle("over", on);
    };
    box.addEventListener("dragover", lit(true));
    box.addEventListener("dragleave", lit(false));
    box.addEventListener("drop", (event) => {
      lit(false)(event);
      use([...event.dataTransfer.files]);
    });
    input.addEventListener("change", () => use([...input.files]));
  }

  function press(button) {
    document.querySelectorAll("#parts button").forEach((b) => b.setAttribute("aria-pressed", b === button));
  }

  function choose(part, button) {
    press(button);
    return judged(async () => {
      if (part.product !== now.part?.product) forget();
      now.part = part;
      if (now.words !== part.words) speak(part.words);
      await look(part.image);
    });
  }

  function wire() {
    const { parts, references, overlay, opening } = aaclip.facts;
    $("full").textContent = `${overlay.high} deviations above`;
    for (const part of parts) {
      const button = document.createElement("button");
      const image = new Image();
      image.src = part.image;
      image.alt = "";
      button.append(image, `${part.words}, ${part.defect}`);
      button.addEventListener("click", () => choose(part, button));
      $("parts").append(button);
    }
    drop("photo", ([file]) => {
      if (!file) return;
      press(null);
      judged(async () => {
        if (now.part) forget();
        now.part = null;
        await look(file);
      });
    });
    drop("sound", (files) =>
      judged(async () => {
        if (now.part) forget(); // those of another product
        press((now.part = null));
        await remember(files);
      }),
    );
    $("show").addEventListener("click", () =>
      judged(async () => {
        forget();
        await remember(references[now.part.product]);
      }),
    );
    $("forget").addEventListener("click", () => judged(forget));
    $("overlay").addEventListener("change", paint);
    $("say").addEventListener("submit", (event) => {
      event.preventDefault();
      judged(() => speak($("words").value));
    });
    speak(now.words);
    return choose(parts[opening], document.querySelectorAll("#parts button")[opening]);
  }

  next(async () => {
    await aaclip.start();
    wire();
  });
}
