"""Python calls with None, wrong types and values at the door of the public names."""

from pathlib import Path

import numpy as np

import aaclip_lite as aa
from tests.faults import places
from tests.faults.judge import Case

WRONG = {"none": None, "number": 3, "list": [1], "object": object(), "true": True, "float": 0.5}


def call(function):
    """function(place, folder) is called and has to refuse."""
    return lambda place, folder: function(place, folder)


def wrong(*kinds: str):
    """Wrong values, those apart which that argument takes."""
    return {name: value for name, value in WRONG.items() if name not in kinds}


def doors() -> dict[str, tuple]:
    """argument: (call with that argument, wrong values)"""
    return {
        "load_clip:source": (lambda p, f, v: aa.load_clip(v), wrong()),
        "load_clip:weights": (
            lambda p, f, v: aa.load_clip(places.CONFIG, weights=v),
            wrong("none"),
        ),
        "load_clip:image_size": (
            lambda p, f, v: aa.load_clip(places.CONFIG, None, image_size=v),
            wrong("none", "number") | {"text": "64", "zero": 0},
        ),
        "load_clip:activation": (
            lambda p, f, v: aa.load_clip(places.CONFIG, None, activation=v),
            wrong("none") | {"text": "relu"},
        ),
        "open_dataset:path": (lambda p, f, v: aa.open_dataset(v), wrong()),
        "open_dataset:size": (
            lambda p, f, v: aa.open_dataset(p.data, size=v),
            wrong("none", "number") | {"zero": 0, "text": "64"},
        ),
        "open_dataset:split": (
            lambda p, f, v: aa.open_dataset(p.data, split=v),
            wrong("none") | {"text": "tset"},
        ),
        "AdaptedCLIP:clip": (lambda p, f, v: aa.AdaptedCLIP(v), wrong()),
        "AdaptedCLIP:recipe": (
            lambda p, f, v: aa.AdaptedCLIP(p.clip, v),
            wrong("none") | {"text": "course"},
        ),
        "train_text:model": (lambda p, f, v: aa.train_text(v, p.set, f / "run"), wrong()),
        "train_text:data": (
            lambda p, f, v: aa.train_text(p.model, v, f / "run"),
            wrong() | {"text": "set"},
        ),
        "train_text:out": (lambda p, f, v: aa.train_text(p.model, p.set, v), wrong()),
        "train_image:model": (lambda p, f, v: aa.train_image(v, p.set, f / "run"), wrong()),
        "train_image:data": (lambda p, f, v: aa.train_image(p.model, v, f / "run"), wrong()),
        "train_image:out": (lambda p, f, v: aa.train_image(p.model, p.set, v), wrong()),
        "train_image:steps": (
            lambda p, f, v: aa.train_image(p.model, p.set, f / "run", steps=v),
            {"zero": 0, "text": "3", "negative": -1, "float": 0.5},
        ),
        "evaluate:model": (lambda p, f, v: aa.evaluate(v, p.set), wrong()),
        "evaluate:data": (lambda p, f, v: aa.evaluate(p.model, v), wrong() | {"text": "set"}),
        "evaluate:stage": (
            lambda p, f, v: aa.evaluate(p.model, p.set, stage=v),
            wrong() | {"text": "all"},
        ),
        "load:name": (lambda p, f, v: aa.AnomalyDetector.load(v), wrong()),
        "load:clip": (lambda p, f, v: aa.AnomalyDetector.load(p.folder, v), wrong("none")),
        "predict:images": (lambda p, f, v: p.detector.predict(v, "bolt"), wrong()),
        "predict:class_name": (
            lambda p, f, v: p.detector.predict(places.pixels(0), v),
            wrong() | {"empty": ""},
        ),
        "predict:words": (
            lambda p, f, v: p.detector.predict(places.pixels(0), "bolt", v),
            wrong("none"),
        ),
        "predict:batch_size": (
            lambda p, f, v: p.detector.predict(places.pixels(0), "bolt", batch_size=v),
            wrong("number") | {"zero": 0},
        ),
        "calibrate:normal_images": (lambda p, f, v: p.detector.calibrate(v, "nut"), wrong()),
        "calibrate:false_alarms": (
            lambda p, f, v: p.detector.calibrate([places.pixels(i) for i in range(20)], "nut", v),
            wrong("float", "number") | {"five": 5, "nan": float("nan"), "zero": 0},
        ),
        "save:folder": (lambda p, f, v: p.detector.save(v), wrong()),
        "to_onnx:path": (lambda p, f, v: p.detector.to_onnx(v), wrong()),
    }


def recipe_with(**changes):
    return lambda place, folder: aa.Recipe(**changes)


RECIPES = {
    "levels": ("four", (0,), (), (2, 1), 3.5),
    "text_lr": (None, "fast", -1.0, float("nan"), True),
    "image_mix": (2.0, -0.1, None, "0.3"),
    "betas": (0.9, (0.9,), ("a", "b")),
    "adapter": ("both", None, 3),
    "text_steps": (-1, 2.5, "many"),
}
ARRAYS = {
    "nan": np.full((32, 32, 3), np.nan),
    "infinite": np.full((32, 32, 3), np.inf),
    "bright": np.full((32, 32, 3), 255.0),
    "signed": np.zeros((32, 32, 3), np.int32),
    "flags": np.zeros((32, 32, 3), bool),
    "texts": np.array([["a", "b"]]),
    "objects": np.array([[object(), None]]),
    "flat": np.zeros(32, np.uint8),
    "five": np.zeros((2, 2, 32, 32, 3), np.uint8),
    "two": np.zeros((32, 32, 2), np.uint8),
    "nothing": np.zeros((0, 0, 3), np.uint8),
}


def cases() -> list[Case]:
    found = []
    for name, (function, values) in doors().items():
        argument = name.split(":")[1]
        for kind, value in values.items():

            def run(place, folder, function=function, value=value):
                if not hasattr(place, "set"):
                    place.set = aa.open_dataset(place.data, size=places.SIDE)
                function(place, Path(folder), value)

            said = rf"{argument}|picture|source|class name|few_shot|levels"
            found.append(Case("calls", f"{name}-{kind}", run, said))
    for name, values in RECIPES.items():
        for i, value in enumerate(values):
            found.append(Case("calls", f"Recipe:{name}-{i}", recipe_with(**{name: value}), name))
    for name, array in ARRAYS.items():

        def run(place, folder, array=array):
            place.detector.predict(array, "bolt")

        found.append(Case("calls", f"array-{name}", run, "picture|values"))
    found.append(Case("calls", "Recipe:nonsense", recipe_with(nonsense=1), "nonsense"))
    return found
