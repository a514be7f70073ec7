"""The network on pixels: its crops, its loss by hand, its readings, and what is shipped."""

import math

import pytest
import torch
from torch import tensor

import aaclip_lite as aa
from aaclip_lite.variants import concepts, pixels
from aaclip_lite.world import factory


def small_net(kinds=2):
    torch.manual_seed(0)
    return pixels.PixelNet(kinds, width=4).eval()


def noise(*shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def test_a_crop_and_its_answer_turn_together_and_most_show_the_damage():
    kinds = torch.full((1, 64, 64), pixels.NONE, dtype=torch.uint8)
    kinds[0, 5:9, 50:60] = 1
    images = kinds[:, None].expand(1, 3, 64, 64)
    drawn = torch.Generator().manual_seed(0)
    found, answers = pixels.crops(images, kinds, [0] * 200, 16, drawn)
    assert found.shape == (200, 3, 16, 16) and (found == answers[:, None]).all()
    shown = (answers == 1).flatten(1).any(1).float().mean()
    assert 0.7 < shown < 0.95
    tall = (answers == 1).any(2).sum(1) > (answers == 1).any(1).sum(1)
    assert tall.any() and not tall.all()  # turned by a quarter, or not


def test_label_map_gives_each_pixel_its_kind():
    masks = {3: torch.eye(4).numpy(), 0: torch.eye(4).flip(0)}
    found = pixels.label_map(masks, 4)
    assert found.diagonal().tolist() == [3, 3, 3, 3]
    assert found.flip(0).diagonal().tolist() == [0, 0, 0, 0]
    assert (found == pixels.NONE).sum() == 8


def test_loss_of_one_cell_by_hand():
    logits = tensor([0.5, -1.0, 2.0])
    total = sum(math.exp(x) for x in logits)
    costs = [math.log(total) - float(x) for x in logits]
    kinds = torch.full((1, 4, 4), pixels.NONE, dtype=torch.uint8)
    kinds[0, 0] = 1  # a quarter of the cell: half of its answer
    found = pixels.loss(logits.reshape(1, 3, 1, 1), kinds, pool=0)
    assert float(found) == pytest.approx((costs[1] + costs[2]) / 2, rel=1e-5)
    kinds[0, :3] = 1
    p = [math.exp(-cost) for cost in costs[:2]]
    more = pixels.loss(logits.reshape(1, 3, 1, 1), kinds, pool=1)
    plain = pixels.loss(logits.reshape(1, 3, 1, 1), kinds, pool=0)
    pooled = -(math.log(1 - p[0]) + math.log(p[1])) / 2
    assert float(more - plain) == pytest.approx(pooled, rel=1e-5)


def test_training_learns_a_spot():
    images = torch.full((24, 3, 32, 32), 120, dtype=torch.uint8) + noise(24, 3, 32, 32) // 16
    kinds = torch.full((24, 32, 32), pixels.NONE, dtype=torch.uint8)
    for row in range(16):
        spot = slice(4 + row, 12 + row)
        images[row, row % 2, spot, spot] = 250
        kinds[row, spot, spot] = row % 2
    net = small_net()
    before = pixels.loss(net(images.float()), kinds, 0.3).item()
    pixels.train(net, images, kinds, 60, seed=0, side=32, batch=8, rate=1e-2)
    assert pixels.loss(net(images.float()), kinds, 0.3).item() < 0.5 * before


def test_a_mirrored_picture_reads_mirrored():
    net, images = small_net(), noise(3, 3, 64, 64)
    found = pixels.read(net, images)
    assert found.shape == (3, 8 + 3, 8, 8) and found.dtype == torch.float16
    mirrored = pixels.read(net, images.flip(3))
    torch.testing.assert_close(mirrored.flip(3), found, atol=2e-3, rtol=2e-3)
    assert (pixels.read(net, images, turns=1) - found).abs().max() > 0.01


def test_what_lies_beside_the_tokens_has_one_size_in_training():
    images = {"train": noise(4, 3, 32, 32), "val": noise(2, 3, 32, 32)}
    tokens = {split: torch.ones(len(own), 5, 4, 4).half() for split, own in images.items()}
    net = small_net().train()
    for _ in range(40):  # running statistics that fit, or every channel is nearly silent
        net(images["train"].float())
    found = pixels.beside(tokens, images, net)
    assert found["val"].shape == (2, 5 + 11, 4, 4) and (found["train"][:, :5] == 1).all()
    own = found["train"][:, 5:].float().movedim(1, 0).flatten(1)
    torch.testing.assert_close(own.mean(1), torch.zeros(11), atol=1e-2, rtol=0)
    live = own.std(1) > 0.5  # a ReLU may be silent
    assert live.sum() > 6
    torch.testing.assert_close(own.std(1)[live], torch.ones(int(live.sum())), atol=1e-2, rtol=0)


def test_kept_and_loaded_it_says_the_same(tmp_path):
    net, images = small_net(), noise(1, 3, 32, 32).float()
    pixels.keep(net, tmp_path / "net.safetensors")
    again = pixels.load(tmp_path / "net.safetensors")
    torch.testing.assert_close(again(images), net(images), atol=2e-2, rtol=2e-2)


def test_levels_survive_only_in_the_sure_channels():
    torch.manual_seed(0)
    model = concepts.ConceptModel(6, 2, 3, inner=8, sure=2).eval()
    tokens = torch.randn(2, 6, 4, 4)
    for channel, kept in ((0, True), (5, False)):
        louder = tokens.clone()
        louder[:, channel] *= 3
        assert torch.allclose(model.cams(louder), model.cams(tokens), atol=1e-3) == kept


def test_the_shipped_network_finds_holes_on_products_that_it_never_saw():
    net, kind = aa.variants.pixels.load(), factory.LOCAL_DEFECTS.index("hole")
    parts = [factory.draw("biscuit", s, defect=d) for d in ("hole", None) for s in range(5)]
    images = torch.stack([torch.from_numpy(part.image).movedim(-1, 0) for part in parts])
    peaks = pixels.read(net, images, turns=1)[:, -10 + kind].flatten(1).amax(1)
    assert (peaks[:5, None] > peaks[None, 5:]).float().mean() > 0.8


def test_both_rounds_teach():
    images, kinds = noise(9, 3, 96, 96), torch.full((9, 96, 96), pixels.NONE, dtype=torch.uint8)
    kinds[:6, 40:50, 40:50] = torch.arange(6, dtype=torch.uint8)[:, None, None] % 2
    net = small_net()
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    pixels.teach(net, images, kinds, steps=12)
    assert all((weight != before[name]).any() for name, weight in net.named_parameters())
