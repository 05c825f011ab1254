"""Trains the tip network; resumable.

python training/train_tip.py --cache DIR --train ct1 ct2 ct3 --validation ctval --steps 4000
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tip_data import Tips
from tip_network import TipNet
from torch.nn import functional as F
from torch.utils.data import DataLoader

QUANTILES = (0.025, 0.5, 0.975)
BATCH, RATE, REPORT = 32, 2e-3, 200


def limits(out: torch.Tensor) -> list[torch.Tensor]:
    median = F.softplus(out[:, 0])
    return [median - F.softplus(out[:, 1]), median, median + F.softplus(out[:, 2])]


def loss(out: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    terms = (
        torch.maximum(q * (y - b), (q - 1) * (y - b)) * (1.0 if q == 0.5 else 3.0)
        for q, b in zip(QUANTILES, limits(out), strict=True)
    )
    return (sum(terms) * w).sum() / w.sum()


@torch.no_grad()
def evaluate(net: TipNet, held: list) -> str:
    net.eval()
    low, median, high, y = (torch.cat(v).numpy() * 20 for v in zip(*((*limits(net(x)), t) for x, t, w in held), strict=True))
    tip = torch.cat([w for _, _, w in held]).numpy() == 1
    net.train()
    text = []
    for name, s in (("tip", tip), ("elsewhere", ~tip)):
        error = np.abs(median - y)[s]
        text.append(
            f"{name} median error {np.median(error):.2f} mm, corr {np.corrcoef(median[s], y[s])[0, 1]:.2f}, "
            f"cover {((y >= low) & (y <= high))[s].mean():.2f}, width {np.median((high - low)[s]):.1f}"
        )
    return "; ".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--train", nargs="+", required=True)
    parser.add_argument("--validation", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=4000)
    args = parser.parse_args()
    torch.manual_seed(4)
    torch.set_num_threads(1)
    net, averaged, step = TipNet(), TipNet(), 0
    averaged.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-3)
    checkpoint = args.cache / "tip.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    held = list(islice(DataLoader(Tips(args.cache, args.validation, 8), batch_size=BATCH), 12))
    stream = iter(DataLoader(Tips(args.cache, args.train, 20 + step), batch_size=BATCH, num_workers=1))
    total, began = 0.0, time.time()
    while step < args.steps:
        rate = RATE * min(1, (step + 1) / 100) * (0.5 * (1 + np.cos(np.pi * step / args.steps)) * 0.98 + 0.02)
        for group in optimiser.param_groups:
            group["lr"] = float(rate)
        x, y, w = next(stream)
        value = loss(net(x), y, w)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        step += 1
        keep = min(0.998, step / (step + 9))
        with torch.no_grad():
            for a, b in zip(averaged.state_dict().values(), net.state_dict().values(), strict=True):
                a.copy_(b) if not a.is_floating_point() else a.mul_(keep).add_(b, alpha=1 - keep)
        total += value.item()
        if step % REPORT == 0 or step == args.steps:
            print(step, f"{time.time() - began:.0f} s loss {total / REPORT:.4f} |", evaluate(averaged, held), flush=True)
            total = 0.0
            state = dict(net=net.state_dict(), averaged=averaged.state_dict(), optimiser=optimiser.state_dict(), step=step)
            torch.save(state, checkpoint)


if __name__ == "__main__":
    main()
