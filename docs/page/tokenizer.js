// CLIP's tokenizer: words to the numbers that its text tower reads, by byte pair encoding.
//
// Special: the table of merges is open_clip's own file, built into the book. Of what open_clip lets
// ftfy mend, quotes are made straight and accents put together; broken encodings stay broken.
// Use: `(await aaclip.tokenizer()).encode("a flawless bottle.")`.
"use strict";

{
  const MERGES = 49152 - 256 - 2;
  const PIECES = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/giu;

  // One printable character for each byte, those of printable bytes themselves
  function letters() {
    const own = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    const all = [...Array(256).keys()];
    const order = [...all.filter(own), ...all.filter((byte) => !own(byte))];
    let next = 256;
    return { order, of: Object.fromEntries(order.map((b) => [b, String.fromCharCode(own(b) ? b : next++)])) };
  }

  function make(text, context) {
    const { order, of } = letters();
    const merges = text.split("\n").slice(1, MERGES + 1);
    const single = order.map((byte) => of[byte]);
    const all = [...single, ...single.map((c) => `${c}</w>`), ...merges.map((m) => m.replace(" ", ""))];
    const numbers = new Map(all.map((piece, number) => [piece, number]));
    const ranks = new Map(merges.map((pair, rank) => [pair, rank]));
    const start = all.length;
    const end = start + 1;

    // Merge, again and again, the pair that the table names first
    function merged(word) {
      let parts = [...new TextEncoder().encode(word)].map((byte) => of[byte]);
      parts[parts.length - 1] += "</w>";
      for (;;) {
        const pairs = parts.slice(1).map((part, i) => ranks.get(`${parts[i]} ${part}`) ?? Infinity);
        const best = Math.min(...pairs);
        if (best === Infinity) return parts;
        const [left, right] = merges[best].split(" ");
        const next = [];
        for (let i = 0; i < parts.length; i++) {
          const found = parts[i] === left && parts[i + 1] === right;
          next.push(found ? left + right : parts[i]);
          i += found ? 1 : 0;
        }
        parts = next;
      }
    }

    const plain = (text) =>
      text.normalize("NFC").replace(/[\u02bc\u2018-\u201b]/g, "'").replace(/[\u201c-\u201f]/g, '"');
    const split = (sentence) =>
      (plain(sentence).toLowerCase().match(PIECES) ?? [])
        .flatMap((word) => merged(word).map((piece) => numbers.get(piece)));
    const encode = (sentence) => {
      const ids = [start, ...split(sentence).slice(0, context - 2), end];
      return [...ids, ...Array(context - ids.length).fill(0)];
    };
    return { split, encode, end };
  }

  let made = null;
  aaclip.tokenizer = () => {
    made ??= aaclip
      .bytes("merges")
      .then((bytes) => make(new TextDecoder().decode(bytes), aaclip.facts.context));
    return made;
  };
}
