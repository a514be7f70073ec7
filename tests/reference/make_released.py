"""Runs the public AA-CLIP code on the formula's weights and stores what comes out, in numbers, as
`released.json`.

Special: nothing of that code is kept here; it is imported from a checkout, its fixed sizes replaced
from outside.
Use: `python tests/reference/make_released.py CHECKOUT_OF_Mwxinnn_AA-CLIP_AT_53db195` (CPU,
seconds).
"""

import builtins
import copy
import json
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import packaging.version
import torch

HERE = Path(__file__).parent
sys.path[:0] = [sys.argv[1], str(HERE)]
# imported there, but not used by what runs here
for missing in (
    "ipdb",
    "cv2",
    "pandas",
    "pkg_resources",
):
    sys.modules.setdefault(missing, types.ModuleType(missing)).__spec__ = ModuleSpec(missing, None)
sys.modules["pkg_resources"].packaging = packaging

import formula  # noqa: E402
import forward_utils  # noqa: E402
import model.adapter as public_adapter  # noqa: E402
from dataset.constants import CLASS_NAMES  # noqa: E402
from model.model import CLIP, resize_pos_embed  # noqa: E402

WIDTHS, DEPTHS = {1024: 64, 768: 48}, {24: 8, 12: 6}
LEVELS = list(formula.DEPTHS["levels"])
make_adapter, make_projection = public_adapter.SimpleAdapter, public_adapter.SimpleProj
public_adapter.SimpleAdapter = lambda a, b: make_adapter(WIDTHS[a], WIDTHS[b])
public_adapter.SimpleProj = lambda a, b, relu=True: make_projection(WIDTHS[a], WIDTHS[b], relu)
public_adapter.range = lambda n: builtins.range(DEPTHS.get(n, n))


def build_clip() -> CLIP:
    config = copy.deepcopy(formula.CONFIG)
    small = CLIP(**copy.deepcopy(config))
    state = formula.clip_state({name: tuple(v.shape) for name, v in small.state_dict().items()})
    config["vision_cfg"]["image_size"] = formula.IMAGE_SIZE
    clip = CLIP(**config)
    resize_pos_embed(state, clip)
    clip.load_state_dict(state)
    return clip.eval()


def build_model():
    model = public_adapter.AdaptedCLIP(
        build_clip(), text_adapt_until=2, image_adapt_until=2, levels=LEVELS, relu=False
    )
    for part in ("text_adapter", "image_adapter"):
        getattr(model, part).load_state_dict(formula.adapter_state(getattr(model, part), part))
    return model.eval()


def surgery(axis: str) -> CLIP:
    clip = build_clip()
    clip.visual.DAPM_replace(formula.DEPTHS["dense_blocks"] + 1)
    if axis == "patch":
        for block in clip.visual.transformer.resblocks[-formula.DEPTHS["dense_blocks"] :]:
            inner = block.attn.forward
            block.attn.forward = lambda q, k, v, attn_mask=None, inner=inner: [
                inner(q.transpose(0, 1), None, None)[0].transpose(0, 1),
                None,
            ]
    return clip


@torch.no_grad()
def dense(clip, frozen, images):
    tokens = [
        clip.visual.ln_post(t[:, 1:]) @ clip.visual.proj
        for t in clip.encode_image(images, LEVELS)[1]
    ]
    class_token = frozen.encode_image(images, [])[0]
    unit = [t / t.norm(dim=-1, keepdim=True) for t in tokens]
    return [t + (class_token / class_token.norm(dim=-1, keepdim=True)).unsqueeze(1) for t in unit]


def anchors_of(model, names):
    made = {
        n: forward_utils.get_adapted_single_class_text_embedding(model, "MVTec", n, "cpu")
        for n in set(names)
    }
    return torch.stack([made[n] for n in names])


def stage1_loss(model, clip, step):
    images, masks, _ = formula.batch(step)
    anchors = anchors_of(model, formula.CLASSES)
    last = dense(clip, model.clipmodel, images)[-1]
    predicted = forward_utils.calculate_similarity_map(last, anchors, formula.IMAGE_SIZE)
    orthogonal = (anchors[:, :, 0] * anchors[:, :, 1]).sum(1).mean() ** 2
    return forward_utils.calculate_seg_loss(predicted, masks) + 0.1 * orthogonal


def stage2_loss(model, anchors, step):
    images, masks, labels = formula.batch(step)
    levels, detection = model(images)
    loss = torch.nn.functional.cross_entropy((detection.unsqueeze(1) @ anchors)[:, 0], labels)
    for level in levels:
        loss = loss + forward_utils.calculate_seg_loss(
            forward_utils.calculate_similarity_map(level, anchors, formula.IMAGE_SIZE), masks
        )
    return loss


def four_steps(parameters, rate, loss_of):
    optimizer, losses = torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999)), []
    for step in range(formula.STEPS):
        optimizer.zero_grad()
        loss = loss_of(step)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main() -> None:
    torch.manual_seed(0)
    numbers: dict[str, list[float]] = {}

    def keep(name, value):
        numbers[name] = formula.summary(value) if value.numel() > 1 else [value.item()]

    model, (images, masks, labels) = build_model(), formula.batch()
    with torch.no_grad():
        for data, names in CLASS_NAMES.items():
            for name in names:
                keep(
                    f"anchors/{name}",
                    forward_utils.get_adapted_single_class_text_embedding(model, data, name, "cpu"),
                )
        keep(
            "anchors/object",
            forward_utils.get_adapted_single_class_text_embedding(model, "MVTec", "object", "cpu"),
        )
        keep("frozen_anchors/pill", anchors_of(model.clipmodel, ["pill"])[0])
        for axis in ("batch", "patch"):
            for level, value in zip(
                LEVELS, dense(surgery(axis), model.clipmodel, images), strict=True
            ):
                keep(f"dense_{axis}/{level}", value)
        keep("dense_batch_of_one/8", dense(surgery("batch"), model.clipmodel, images[:1])[-1])

    clip = surgery("batch")
    anchors = anchors_of(model, formula.CLASSES)
    keep("stage1/loss", stage1_loss(model, clip, 0))
    stage1_loss(model, clip, 0).backward()
    for name, p in model.text_adapter.named_parameters():
        keep(f"stage1/gradient/{name}", p.grad)
    anchors = anchors.detach()
    levels, detection = model(images)
    keep("adapted/detection", detection)
    for level, value in zip(LEVELS, levels, strict=True):
        keep(f"adapted/{level}", value)
        predicted = forward_utils.calculate_similarity_map(value, anchors, formula.IMAGE_SIZE)
        keep(f"training_map/{level}", predicted)
        keep(f"focal/{level}", forward_utils.focal_loss(predicted, masks))
        keep(f"dice_normal/{level}", forward_utils.dice_loss(predicted[:, 0], 1 - masks))
        keep(f"dice_abnormal/{level}", forward_utils.dice_loss(predicted[:, 1], masks))
    keep("orthogonal", (anchors[:, :, 0] * anchors[:, :, 1]).sum(1).mean() ** 2)
    keep("stage2/loss", stage2_loss(model, anchors, 0))
    model.zero_grad()
    stage2_loss(model, anchors, 0).backward()
    for name, p in model.image_adapter.named_parameters():
        keep(f"stage2/gradient/{name}", p.grad)

    one = anchors[0]
    scores = (detection @ one)[:, 1].detach().add(1).div(2)
    keep("test/detection_score", scores)
    for domain in ("Industrial", "Medical"):
        maps = [
            forward_utils.calculate_similarity_map(
                v, one, formula.IMAGE_SIZE, test=True, domain=domain
            )
            for v in levels
        ]
        maps = torch.cat(maps, dim=1).sum(1)
        keep(f"test/map/{domain}", maps)
        seen = []
        forward_utils.average_precision_score = lambda *_: 0.5
        forward_utils.roc_auc_score = lambda truth, predicted, seen=seen: (
            seen.append(predicted) or 0.5
        )
        forward_utils.metrics_eval(
            masks.numpy().astype(int),
            labels.numpy(),
            maps.detach().numpy(),
            scores.numpy(),
            "bottle",
            domain,
        )
        keep(f"test/fused/{domain}", torch.from_numpy(np.asarray(seen[-1])))

    trained = build_model()
    words, pictures = trained.text_adapter, trained.image_adapter
    numbers["stage1/losses"] = four_steps(
        words.parameters(), 1e-5, lambda step: stage1_loss(trained, clip, step)
    )
    numbers["stage2/losses"] = four_steps(
        pictures.parameters(), 5e-4, lambda step: stage2_loss(trained, anchors, step)
    )
    for stage, after, before in (
        (1, words, model.text_adapter),
        (2, pictures, model.image_adapter),
    ):
        for (name, p), start in zip(after.named_parameters(), before.parameters(), strict=True):
            keep(f"stage{stage}/weights/{name}", p)
            keep(f"stage{stage}/change/{name}", p - start)
    (HERE / "released.json").write_text(json.dumps(numbers, indent=0) + "\n")
    print(len(numbers), "entries")


main()
