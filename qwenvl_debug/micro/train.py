"""Trains the bundled model from nothing: `python -m qwenvl_debug.micro.train --work FOLDER`.

Two stages. First the vision tower alone learns what lies in each cell (thing, colour, and for cat and table
their relation) through three linear read-outs on its merged output. Then everything learns to answer, the
read-outs kept at a falling weight; pictures grow from small grids to those met in use, scenes from one shape to four.
The read-outs are not part of the model that is shipped. Seeded; goes on where it stopped; CPU or GPU.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from qwenvl_debug.micro.batches import IGNORE, THINGS, Batch, draw_batch
from qwenvl_debug.micro.build import fresh_model, tokenizer, write_checkpoint
from qwenvl_debug.micro.forward import read, see
from qwenvl_debug.micro.words import COLOURS, PLACES, SHAPES

SMALL = ((7, 7), (6, 8), (8, 6), (7, 8), (8, 8))
MIDDLE = ((9, 9), (8, 10), (10, 8), (8, 11), (9, 10), (11, 8))
LARGE = (
    (10, 14),
    (12, 12),
    (10, 10),
    (14, 10),
    (10, 15),
    (9, 16),
    (11, 12),
    (13, 11),
    (15, 9),
    (10, 12),
    (8, 14),
    (17, 8),
)


class Batches(Dataset):
    """Batch number n of the course, drawn from the seed alone, so that a resumed course sees the same ones."""

    def __init__(self, seed: int, plan: Plan, start: int):
        self.seed, self.plan, self.start, self.tokens = seed, plan, start, tokenizer()

    def __len__(self) -> int:
        return self.plan.steps - self.start

    def __getitem__(self, index: int) -> Batch:
        step = self.start + index
        rng = np.random.default_rng((self.seed, step))
        grids, size, hard = self.plan.at(step)
        grid = grids[int(rng.integers(len(grids)))]
        return draw_batch(self.tokens, self.seed * 10_000_000 + step, size, grid, hard)


class Plan:
    """How many steps each stage takes, and which pictures it shows."""

    def __init__(self, vision: int, joint: int, size: int):
        self.vision, self.joint, self.size, self.steps = vision, joint, size, vision + joint

    def at(self, step: int) -> tuple[tuple, int, float]:
        """(grids, pictures in the batch, how hard) at a step."""
        if step < self.vision:
            done = step / self.vision
            grids = SMALL if done < 0.75 else MIDDLE
            return grids, round(self.size * (1.4 if done < 0.75 else 1.0)), min(0.2 + done, 1.0)
        done = (step - self.vision) / self.joint
        if done < 0.3:
            return SMALL + MIDDLE[:1], self.size, 0.7 + done
        if done < 0.6:
            return MIDDLE + LARGE[:2], round(self.size * 0.75), 1.0
        return LARGE + MIDDLE[:2], round(self.size * 0.6), 1.0

    def rate(self, step: int) -> float:
        """The learning rate's share of its peak: a short rise and a cosine fall, once for each stage."""
        start, length = (0, self.vision * 1.6) if step < self.vision else (self.vision, self.joint)
        done = (step - start) / length
        rise = 0.06
        return done / rise + 0.01 if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise))) + 0.004


class ReadOuts(nn.Module):
    """Linear probes on the merged cells: thing, colour, place. Used in training only."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.thing, self.colour, self.place = (
            nn.Linear(width, n) for n in (1 + len(THINGS), 1 + len(COLOURS), len(PLACES))
        )

    def loss(self, merged: torch.Tensor, batch: dict) -> tuple[torch.Tensor, dict]:
        x, total, right = self.norm(merged.float()), 0.0, {}
        for name, weight in (("thing", 1.0), ("colour", 0.6), ("place", 0.7)):
            logits, truth = getattr(self, name)(x).flatten(0, 1), batch[name].flatten()
            known = truth != IGNORE
            if known.any():
                each = F.cross_entropy(logits[known], truth[known], reduction="none")
                share = torch.where(truth[known] == 0, 0.25, 1.0) if name != "place" else torch.ones_like(each)
                total = total + weight * (each * share).sum() / share.sum()
                hit = logits.argmax(1) == truth
                groups = {name: known & (truth > 0) if name != "place" else known}
                if name == "thing":
                    n = len(SHAPES)
                    groups = {
                        "shape": (truth > 0) & (truth <= n),
                        "cat": (truth > n) & (truth <= n + 2),
                        "tower": truth > n + 2,
                    }
                for group, shown in groups.items():
                    right[group] = hit[shown].float().mean().item() if shown.any() else float("nan")
        return total, right


def tensors(batch: Batch, device: str) -> dict:
    """The batch's arrays as tensors on the device."""
    names = ("pixels", "ids", "labels", "block", "positions", "thing", "colour", "place")
    return {n: torch.from_numpy(getattr(batch, n)).to(device) for n in names}


def answer_loss(model, hidden: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Cross entropy of the answers' tokens, and the share of tokens that come out right."""
    asked, wanted = hidden[:, :-1], labels[:, 1:]
    known = wanted != IGNORE
    logits = F.linear(asked[known], model.lm_head.weight).float()
    return F.cross_entropy(logits, wanted[known]), (logits.argmax(1) == wanted[known]).float().mean().item()


def make_optimisers(model, readouts: nn.Module, peak: float) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices inside the layers, AdamW for everything else.

    Muon (Jordan et al., 2024) needs far fewer pictures than AdamW before shapes are told apart. Each group carries
    its own peak rate.
    """
    inside = [
        m.weight
        for m in (*model.model.visual.modules(), *model.model.language_model.layers.modules())
        if isinstance(m, nn.Linear)
    ]
    known = {id(w) for w in inside}
    others = [w for w in (*model.parameters(), *readouts.parameters()) if id(w) not in known]
    return (
        torch.optim.Muon(
            [{"params": inside, "peak": 2.0 * peak}], lr=peak, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW([{"params": others, "peak": peak}], lr=peak, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    )


def train(
    work: Path,
    plan: Plan,
    seed: int,
    peak: float,
    device: str,
    save_every: int = 200,
    out: Path | None = None,
    begin_from: Path | None = None,
) -> None:
    """Runs the course (or the rest of it) and writes the averaged model as a checkpoint to `out` as it goes."""
    work.mkdir(parents=True, exist_ok=True)
    tokens = tokenizer()
    model = fresh_model(tokens, seed).to(device).train()
    readouts = ReadOuts(model.config.text_config.hidden_size).to(device)
    average = copy.deepcopy(model).eval()
    weights = [*model.parameters(), *readouts.parameters()]
    optimisers = make_optimisers(model, readouts, peak)
    state, start = work / "state.pt", 0
    if state.exists():
        saved = torch.load(state, map_location=device, weights_only=True)
        for part, name in ((model, "model"), (average, "average"), (readouts, "readouts")):
            part.load_state_dict(saved[name])
        for part, kept in zip(optimisers, saved["optimisers"], strict=True):
            part.load_state_dict(kept)
        start = saved["step"]
    elif begin_from is not None:
        saved = torch.load(begin_from, map_location=device, weights_only=True)
        for part, name in ((model, "model"), (average, "model"), (readouts, "readouts")):
            part.load_state_dict(saved[name])
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters; steps {start} to {plan.steps}", flush=True)
    loader = DataLoader(Batches(seed, plan, start), batch_size=None, num_workers=1, prefetch_factor=3)
    began, seen = time.time(), {}
    for step, batch in enumerate(loader, start):
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = group["peak"] * plan.rate(step)
        data, joint = tensors(batch, device), step >= plan.vision
        with torch.autocast(device, torch.bfloat16):
            merged, deep = see(model, data["pixels"], batch.grid)
            loss, right = readouts.loss(merged, data)
            if joint:
                done = (step - plan.vision) / plan.joint
                hidden = read(model, merged, deep, data["ids"], data["block"], data["positions"])
                answers, right["answer"] = answer_loss(model, hidden, data["labels"])
                loss = answers + (0.5 - 0.35 * done) * loss
                right["loss"] = answers.item()
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        for optimiser in optimisers:
            optimiser.step()
        with torch.no_grad():
            keep = min(0.995, (step + 1) / (step + 20))
            for mean, now in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        for name, value in right.items():
            if value == value:
                seen[name] = 0.95 * seen.get(name, value) + 0.05 * value
        if step % 25 == 0:
            spent = (time.time() - began) / (step - start + 1)
            print(f"{step:5d} {spent:5.2f} s/step " + " ".join(f"{k} {v:.3f}" for k, v in seen.items()), flush=True)
        if (step + 1) % save_every == 0 or step + 1 == plan.steps:
            parts = {"model": model, "average": average, "readouts": readouts}
            saved = {"step": step + 1, "optimisers": [o.state_dict() for o in optimisers]}
            torch.save(saved | {k: v.state_dict() for k, v in parts.items()}, state.with_suffix(".new"))
            state.with_suffix(".new").replace(state)
            write_checkpoint(average, tokens, out or work / "checkpoint")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="where the state is kept, to go on from after a stop")
    parser.add_argument("--out", type=Path, help="the checkpoint folder to write (default: WORK/checkpoint)")
    parser.add_argument("--begin-from", type=Path, help="the state file of an earlier course to take the weights from")
    parser.add_argument("--vision", type=int, default=500, help="steps of the vision tower alone")
    parser.add_argument("--joint", type=int, default=5000, help="steps of everything together")
    parser.add_argument("--size", type=int, default=24, help="pictures in a batch on the smallest grids")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train(
        options.work,
        Plan(options.vision, options.joint, options.size),
        options.seed,
        options.rate,
        device,
        out=options.out,
        begin_from=options.begin_from,
    )


if __name__ == "__main__":
    main()
