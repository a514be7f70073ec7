"""Options of a pretraining run, and the shape of the model that it makes."""

from dataclasses import dataclass

# relief, or a trace
HARD_THINGS = ("shallow dimple", "raised ridge", "water drop", "{} hair", "{} sand grains")

REGIONS = 5  # at most three things, the surface, the ground

# from leg to leg
CHANGING = ("minutes", "lr", "batch", "replays", "hard_things", "where_weight", "wrong_places")

MODEL = {
    "embed_dim": 192,
    "vision_cfg": {"image_size": 128, "patch_size": 8, "width": 192, "layers": 8, "head_width": 64},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 192, "heads": 3, "layers": 4},
}


def levels_of(layers: int) -> tuple[int, ...]:
    """Blocks after which patches are compared with phrases: each quarter of them."""
    return tuple(layers * k // 4 for k in (1, 2, 3, 4))


@dataclass(frozen=True)
class Pretraining:
    """Options of a pretraining run; those that made the shipped model stand in its run.json."""

    out: str = "runs/pretrain"
    warm_start: str = ""  # folder of a model to go on from, its minutes counted; "": from nothing
    minutes: float = 60.0  # over all times that the run was taken up
    device: str = "cpu"
    workers: int = 1  # drawing processes
    batch: int = 128  # for each process
    lr: float = 1.2e-3
    weight_decay: float = 0.05
    warmup: int = 300  # steps
    # of 256 patches; those under neutral things always; all of them in the last twentieth
    keep: int = 112
    pool: int = 40_000  # pictures kept on disk, about 50 KB each
    replays: int = 6  # how often a picture is used before a new one replaces it
    phrase_weight: float = 0.7
    patch_weight: float = 1.0
    where_weight: float = 0.5
    pixel_weight: float = 0.3
    caption_things: bool = True  # captions name the neutral things and their places
    # a picture must also refuse its caption with the place of a thing changed
    wrong_places: bool = True
    # how often a thing of HARD_THINGS is drawn for each time another one is
    hard_things: float = 3.0
    damage_share: float = 0.003
    # neutral things also lie on validation and test products (never damage)
    test_things: bool = True
    save_every: float = 5.0  # minutes
    seed: int = 0
    layers: int = MODEL["vision_cfg"]["layers"]  # blocks of the picture's side
    patch_size: int = MODEL["vision_cfg"]["patch_size"]  # pixels, 8 or 16

    def model(self) -> dict:
        """The configuration of the model that these options train, as open_clip takes it."""
        shape = {"layers": self.layers, "patch_size": self.patch_size}
        return MODEL | {"vision_cfg": MODEL["vision_cfg"] | shape}
