"""Every idea of the improvement lab: it builds, trains what it adds, and leaves the recipe's model
where it says that it begins there.
"""

import pytest
import torch

from aaclip_lite import evaluate
from aaclip_lite.variants.improvements import IDEAS, Plugged, info_nce, multiscale, placement
from tests import tiny

RECIPE = tiny.RECIPE.replace(logit_scale=15.0)
STEPS = {"text": 2, "image": 2}
BEGIN_AT_THE_RECIPE = (
    *("gated", "routed by picture", "soft prompt", "learned weights of levels"),
    *("attention over levels", "levels chosen by picture", "attention over patches"),
    *("learned scale", "low rank", "convolution", "most important half"),
)


@pytest.fixture(scope="module")
def clip():
    return tiny.clip(vision={"layers": 4})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.draw(tmp_path_factory.mktemp("tiny") / "data", ("bolt", "cup", "nut"))


def build(name, clip):
    torch.manual_seed(0)
    return IDEAS[name].build(clip, RECIPE)


def seen(model, data):
    batch = next(data.batches(4))
    model.eval()
    with torch.no_grad():
        anchors = model.text_anchors(data.classes)
        features = model(model.preprocess(batch["image"]), batch["class_name"])
    return torch.cat([*features.levels], 1), features.detection, anchors["bolt"]


def test_all_ten_areas_have_ideas():
    assert {idea.area for idea in IDEAS.values()} == set(range(11))


@pytest.mark.parametrize("name", IDEAS)
def test_an_idea_trains_all_that_it_adds_and_is_judged_like_the_method(name, clip, data):
    model = build(name, clip)
    adapters = {n: p.detach().clone() for s in STEPS for n, p in model.trainable(s).items()}
    histories = IDEAS[name].fit(model, data, STEPS, 0)
    assert all(torch.isfinite(torch.tensor(h.column("loss"))).all() for h in histories)
    moved = {n for s in STEPS for n, p in model.trainable(s).items() if (p != adapters[n]).any()}
    added = {n for n in adapters if n.startswith("extra.")}
    # a bias in front of a softmax shifts all its scores alike
    silent = {n for n in added - moved if n.endswith(".bias")}
    assert added - moved <= silent, added - moved
    assert evaluate(model, data, rounds=1, progress=False).mean["pixel_auroc"] > 0


@pytest.mark.parametrize("name", BEGIN_AT_THE_RECIPE)
def test_an_idea_begins_at_the_recipe(name, clip, data):
    recipe = seen(build("the recipe", clip), data)
    for mine, recipes in zip(seen(build(name, clip), data), recipe, strict=True):
        assert torch.allclose(mine, recipes, atol=1e-5)


@pytest.mark.parametrize("name", ["class token", "no rescaling", "LayerNorm", "mean of all levels"])
def test_an_idea_without_such_a_start_changes_the_features(name, clip, data):
    model, recipe = build(name, clip), build("the recipe", clip)
    for each in (model, recipe):
        torch.manual_seed(0)
        for p in each.image_adapter.parameters():
            torch.nn.init.normal_(p, 0, 0.2)
    same = [torch.equal(a, b) for a, b in zip(seen(model, data), seen(recipe, data), strict=True)]
    assert not all(same[:2])


def test_halved_averages_two_by_two():
    level = torch.zeros(1, 16, 2)
    level[0, [0, 1, 4, 5], 0] = 1.0  # the upper left square
    level[0, [2, 3, 6, 7], 1] = 1.0
    coarse = multiscale.halved(level)
    assert coarse.shape == (1, 4, 2) and coarse[0, 0].tolist() == [1, 0]
    assert coarse[0, 1].tolist() == [0, 1]


def test_the_rise_without_an_adapter_that_does_nothing_is_nothing(clip, data):
    model = build("most important half", clip)
    with torch.no_grad():
        for place, adapter in enumerate(model.image_adapter["layer_adapters"]):
            for weight in adapter.parameters():  # all but the second change the tokens
                torch.nn.init.normal_(weight, 0, 0.0 if place == 1 else 1.0)
    rises = placement.rises(model, data, 0)
    assert abs(rises[1]) < 1e-5 < min(abs(rises[place]) for place in (0, 2, 3))
    assert model.off == set()


def test_info_nce_is_smallest_for_states_that_agree_and_part():
    together = torch.eye(2).expand(3, 2, 2)
    mixed = together.clone()
    mixed[0] = mixed[0].flip(-1)
    assert info_nce(together) < 0.01 < info_nce(mixed)


def test_an_eleventh_idea_needs_three_lines(clip, data):
    class Doubled(Plugged):
        def pool(self, detection):
            return 2 * super().pool(detection)

    torch.manual_seed(0)
    twice = seen(Doubled(clip, RECIPE), data)[1]
    assert torch.allclose(twice, 2 * seen(build("the recipe", clip), data)[1])
