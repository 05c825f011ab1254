"""Trains the bone prior from rendered projections; resumable; writes curves and an ONNX file.

python training/train.py --config training/config.toml --cache DIR
"""

from __future__ import annotations

import argparse
import csv
import time
import tomllib
from pathlib import Path

import cv2
import numpy as np
import torch
from appearance import sample
from network import BoneNet
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

KEYS = ("integral", "masks", "thickness", "meta")
QUANTILES = (0.03, 0.5, 0.97)
NEAR_TIP_PX, NEAR_TIP_WEIGHT = 14.0, 4.0  # the edge that is measured is the one near the tip: there a wrong pixel costs more


class Pictures(IterableDataset):
    """Endless stream of freshly exposed pictures from the rendered store."""

    def __init__(self, cache: Path, names: list[str], size: int, seed: int, thick: list[str] | None = None) -> None:
        self.cache, self.names, self.size, self.seed = cache, names, size, seed
        self.thick = names if thick is None else thick  # stores whose bone is as thick as real bone

    def __iter__(self):
        cv2.setNumThreads(1)
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])

        def opened() -> list:
            return [{k: np.load(self.cache / f"{n}_{k}.npy", mmap_mode="r") for k in KEYS} for n in self.names]

        while True:
            stores = opened()  # again now and then: rendering may still be adding pictures
            counts = [int((self.cache / f"{n}_done.txt").read_text()) for n in self.names]
            for _ in range(500):
                s = rng.integers(len(stores))
                k = rng.integers(counts[s])
                x, masks, thick, field, tip = sample(rng, *(np.asarray(stores[s][key][k]) for key in KEYS), self.size)
                if self.names[s] not in self.thick:
                    thick[1] = 0
                yield tuple(np.ascontiguousarray(a) for a in (x, masks, thick, field, tip))


def dice_loss(p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return (1 - (2 * (p * t).sum((1, 2)) + 20) / (p.sum((1, 2)) + t.sum((1, 2)) + 20)).mean()


def losses(out: torch.Tensor, masks, thick, field, tip) -> dict[str, torch.Tensor]:
    terms = {}
    n = out.shape[-1]
    yy, xx = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    d2 = (xx[None] - tip[:, 0, None, None]) ** 2 + (yy[None] - tip[:, 1, None, None]) ** 2
    seen = (tip[:, 0] >= 0).float()
    near = NEAR_TIP_WEIGHT * torch.exp(-d2 / (2 * NEAR_TIP_PX**2)) * seen[:, None, None]
    for k, (name, weight) in enumerate([("hip", 1.0), ("other", 0.25), ("shaft", 0.4)]):
        p = torch.sigmoid(out[:, k]) * field
        bce = F.binary_cross_entropy_with_logits(
            out[:, k], masks[:, k], reduction="none", pos_weight=torch.tensor(4.0 if k == 2 else 1.0)
        )
        price = field * (1 + near) if k == 0 else field
        terms[name] = weight * (2 * (bce * price).sum() / price.sum() + dice_loss(p, masks[:, k]))
    heat = torch.exp(-d2 / (2 * 1.2**2))
    heat = heat / heat.sum((1, 2), keepdim=True).clamp_min(1e-6)
    logp = F.log_softmax(out[:, 3].flatten(1), 1).view_as(heat)
    terms["tip"] = 0.08 * (-(heat * logp).sum((1, 2)) * seen).sum() / seen.sum().clamp_min(1)
    median = F.softplus(out[:, 4])
    bounds = [median - F.softplus(out[:, 5]), median, median + F.softplus(out[:, 6])]
    pinball = sum(
        torch.maximum(q * (thick[:, 0] - b), (q - 1) * (thick[:, 0] - b)) * (1.0 if q == 0.5 else 3.0)
        for q, b in zip(QUANTILES, bounds, strict=True)
    )
    terms["thickness"] = 4 * (pinball * thick[:, 1]).sum() / thick[:, 1].sum().clamp_min(1)
    return terms


@torch.no_grad()
def evaluate(net, batches) -> dict[str, float]:
    net.eval()
    dice, tips, cover, error = [], [], [], []
    for x, masks, thick, field, tip in batches:
        out = net(x)
        p = ((torch.sigmoid(out[:, 0]) > 0.5) & (field > 0)).float()
        t = (masks[:, 0] > 0.5).float()
        dice += ((2 * (p * t).sum((1, 2)) + 1) / (p.sum((1, 2)) + t.sum((1, 2)) + 1)).tolist()
        flat = out[:, 3].flatten(1).argmax(1)
        at = torch.stack([flat % out.shape[-1], flat // out.shape[-1]], 1)
        far = (at - tip).norm(dim=1)
        tips += (far[tip[:, 0] >= 0] < 3).float().tolist()
        median = F.softplus(out[:, 4])
        low, high = median - F.softplus(out[:, 5]), median + F.softplus(out[:, 6])
        on = thick[:, 1] > 0
        cover.append(((thick[:, 0] >= low) & (thick[:, 0] <= high))[on].float().mean().item())
        error.append((median - thick[:, 0]).abs()[on].median().item() * 20)
    net.train()
    return dict(
        dice=float(np.median(dice)),
        dice10=float(np.percentile(dice, 10)),
        tip3=float(np.mean(tips)),
        cover=float(np.mean(cover)),
        thickness_mm=float(np.mean(error)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    args = parser.parse_args()
    config = tomllib.loads(args.config.read_text())
    torch.manual_seed(config["seed"])
    torch.set_num_threads(config["threads"])
    net, averaged = BoneNet(), BoneNet()
    averaged.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=config["rate"], weight_decay=1e-4)
    start, checkpoint = 0, args.cache / f"{config['name']}.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]
    planned = sum(p["steps"] for p in config["phase"] if "rate" not in p)
    began = time.time()
    done = 0
    for number, phase in enumerate(config["phase"]):
        first, done = done, done + phase["steps"]
        if start >= done:
            continue
        stream = iter(
            DataLoader(
                Pictures(
                    args.cache,
                    phase.get("train", config["train"]),
                    phase["size"],
                    config["seed"] + 100 * number + start,
                    phase.get("thick"),
                ),
                batch_size=config["batch"],
                num_workers=config["workers"],
            )
        )
        held_out = Pictures(args.cache, phase.get("validation", config["validation"]), phase["size"], 7)
        fixed = iter(DataLoader(held_out, batch_size=16))
        check = [next(fixed) for _ in range(config["validation_batches"])]
        total: dict[str, float] = {}
        for step in range(max(start, first), done):
            share = (step - first) / phase["steps"] if "rate" in phase else step / planned
            warm = min(1.0, (step + 1) / 200)
            rate = float(phase.get("rate", config["rate"]) * warm * (0.5 * (1 + np.cos(np.pi * share)) * 0.98 + 0.02))
            for group in optimiser.param_groups:
                group["lr"] = rate
            x, masks, thick, field, tip = next(stream)
            terms = losses(net(x), masks, thick, field, tip)
            optimiser.zero_grad(set_to_none=True)
            sum(terms.values()).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            keep = min(0.998, (step + 1) / (step + 10))
            with torch.no_grad():
                for a, b in zip(averaged.state_dict().values(), net.state_dict().values(), strict=True):
                    a.copy_(b) if not a.is_floating_point() else a.mul_(keep).add_(b, alpha=1 - keep)
            for k, v in terms.items():
                total[k] = total.get(k, 0.0) + v.item()
            if (step + 1) % config["report"] == 0 or step + 1 == done:
                row = dict(
                    step=step + 1,
                    size=phase["size"],
                    seconds=round(time.time() - began),
                    rate=f"{rate:.2g}",
                    **{k: round(v / config["report"], 4) for k, v in total.items()},
                    **{k: round(v, 4) for k, v in evaluate(averaged, check).items()},
                )
                total = {}
                print(row, flush=True)
                curves = args.cache / f"{config['name']}_curves.csv"
                with curves.open("a", newline="") as handle:
                    writer = csv.DictWriter(handle, row.keys())
                    if handle.tell() == 0:
                        writer.writeheader()
                    writer.writerow(row)
                torch.save(
                    dict(net=net.state_dict(), averaged=averaged.state_dict(), optimiser=optimiser.state_dict(), step=step + 1),
                    checkpoint,
                )


if __name__ == "__main__":
    main()
