"""`demo`: drawn parts of unseen products, their maps, a table and a sheet of pictures."""

from dataclasses import dataclass, field

from . import _shared as shared

SIDE = 128  # pixels of a drawn part
LEAST_GOOD, MOST_GOOD = 5, 1000


@dataclass(frozen=True)
class Command:
    """No browser: draw parts of unseen products, mark their defects, print a table, keep a sheet of
    pictures.
    """

    out: str = "build/demo.png"  # the sheet
    detector: str = "course"  # the shipped one, a run's folder, or hf:OWNER/NAME on the hub
    seed: int = 0  # another number draws other parts
    # sound parts of each product that the detector remembers, at least 5; 0: no verdicts
    good_parts: int = 16
    shown: int = 20  # so many of the parts are in the picture
    backbone: shared.Carrier = field(default_factory=shared.Backbone)

    def refuse_unfit(self, given: set[str]) -> None:
        shared.in_range("--seed", self.seed, 0, 10**6)
        if self.good_parts:
            shared.in_range("--good-parts", self.good_parts, LEAST_GOOD, MOST_GOOD)
        shared.in_range("--shown", self.shown, 1, 20)
        shared.a_file_to_write("--out", self.out)

    def run(self) -> int:
        from ..world.products import names

        judged = self.backbone.detector(self.detector)
        unseen = names("test")
        parts = self._parts(unseen)
        if self.good_parts:
            _remember(judged, unseen, self.good_parts, self.seed)
        predictions = [judged.predict(part.image, part.product) for part in parts]
        print(
            f"Maps of detector {self.detector}; it remembers {self.good_parts} sound parts of each "
            "product, from the station where the part below was made.\n"
        )
        hits = _print_table(parts, predictions)
        sheet = _save_sheet(parts[: self.shown], predictions[: self.shown], self.out)
        if self.good_parts:
            pairs = zip(parts, predictions, strict=True)
            right = sum(each.is_anomalous == bool(part.defect) for part, each in pairs)
            print(f"\ncalled what they are: {right} of {len(parts)}")
        print(f"peak on the defect in {sum(hits)} of {len(hits)}; pictures: {sheet}")
        return 0

    def _parts(self, unseen: list[str]) -> list:
        """A defective part of each product, a sound one of every third."""
        from ..world.factory import LOCAL_DEFECTS as KINDS

        parts = []
        for number, name in enumerate(unseen):
            parts.append(_draw(name, KINDS[(number + self.seed) % len(KINDS)], self.seed))
        return parts + [_draw(name, None, self.seed) for name in unseen[::3]]


def _remember(judged, unseen: list[str], good_parts: int, seed: int) -> None:
    from ..files import sound
    from ..world import factory

    for name in unseen:
        place = {"split": "demo-good", "station": 1 + seed}
        parts = [factory.draw(name, i, SIDE, **place) for i in range(good_parts)]
        with sound.quiet():  # some bear a print, which would be named
            judged.remember([part.image for part in parts], name)


def _print_table(parts: list, predictions: list) -> list[bool]:
    """Prints it; whether the peak lies on the defect, for each defective part."""
    from .. import metrics

    heads = f"{'product':12}{'defect':15}{'verdict':16}{'score':>7}{'pixel AUROC':>13}"
    print(f"{heads}  peak on defect")
    hits = []
    for part, each in zip(parts, predictions, strict=True):
        end = f"{'-':>13}  -"
        if part.defect:
            figures = metrics.pixel_metrics(each.map[None], part.mask[None])
            hits.append(figures["peak_hit"] > 0)
            end = f"{figures['pixel_auroc']:13.2f}  {'yes' if hits[-1] else 'no'}"
        verdict = f"{shared.VERDICTS[each.is_anomalous]:16}{each.score:7.2f}"
        print(f"{part.product:12}{part.defect or 'none':15}{verdict}{end}")
    return hits


def _save_sheet(parts: list, predictions: list, out: str):
    from ..course import plots

    titles = []
    for part, each in zip(parts, predictions, strict=True):
        truth = f"{part.product}: {part.defect or 'sound'}".replace("_", " ")
        titles.append(f"{truth}\n{shared.VERDICTS[each.is_anomalous]}, score {each.score:.1f}")
    pictures = [part.image for part in parts]
    maps = [each.map for each in predictions]
    masks = [part.mask if part.defect else None for part in parts]
    return plots.save(plots.detections(pictures, maps, masks, titles), out, dpi=80)


def _draw(name: str, kind: str | None, seed: int):
    from ..world import factory

    numbers = range(100 * seed, 100 * seed + 100)
    return factory.first_shown(name, numbers, SIDE, kind, split="demo", station=1 + seed)
