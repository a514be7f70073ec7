"""Training loops as learners write them, for the exercises of chapters 06 and 07."""

import torch

import aaclip_lite as aa


def loop_of(stage, fault=""):
    """A learner's loop with one plausible fault."""

    def loop(model, batches, steps, anchors=None):
        recipe = model.recipe
        model.requires_grad_(fault == "all move")
        if fault == "all move":
            weights = list(model.parameters())
        else:
            weights = [w.requires_grad_() for w in model.trainable(stage).values()]
        betas = (0.9, 0.999) if fault == "default betas" else recipe.betas
        optimizer = torch.optim.Adam(weights, aa.train.learning_rate(recipe, stage, 0), betas)
        losses = []
        for number, batch in enumerate(batches):
            if number == steps and fault != "all batches":
                break
            rate = aa.train.learning_rate(recipe, stage, number)
            if fault == "default lr":
                rate = 1e-3
            if fault == "constant lr":
                rate = aa.train.learning_rate(recipe, stage, 0)
            optimizer.param_groups[0]["lr"] = rate
            if fault != "no zero_grad":
                optimizer.zero_grad()
            parts = list(aa.train.step(model, batch, anchors, stage).values())
            loss = parts[0] if fault == "first part" else sum(parts)
            if fault != "no backward":
                loss.backward()
                optimizer.step()
            losses.append(loss.item())
        return None if fault == "returns nothing" else losses

    return loop
