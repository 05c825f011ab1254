"""Trains the tip reader: an encoder of a tip's surroundings, and the network that reads the codes of several views together.

python training/place.py --cache DIR --model FILE.onnx --train tr1 tr2 tr3 trh1 trh2 --held-out ho1 ho2 hoh1 hoh2 --out DIR

`--train` are studies in hips that the prior was trained on, `--held-out` in hips that nothing was trained on: they only tell
when to trust the answer, and nothing is written that calls more than 2.5 % of thick bone there not thick.
"""

from __future__ import annotations

import argparse
import hashlib
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from place_maps import KINDS
from torch import nn
from torch.nn import functional as F

from marrowpoint.fluoroscopy.surroundings import ENCODER_FILE
from marrowpoint.study.geometry import ZeroView, picture_axes
from marrowpoint.study.place import EXCLUDED, READER_FILE, SCALARS, PlaceReader, ViewFacts, thickness_logits, view_scalars

LADDER_MM = (2.0, 4.0, 5.5, 7.0, 8.5, 9.6, 11.0, 13.0)
THICK = LADDER_MM.index(9.6)
DEEP_MM = (-5.0, -2.0, 0.0, 1.0, 2.0, 3.0, 4.5)  # learnt beside, and not kept: how deep the tip lies below the surface
CODE, HIDDEN, CHANNELS = 24, 48, (16, 24, 32, 40)
MEMBERS, EPOCHS, BATCH, RATE = 3, 14, 64, 2e-3
SINE_SD_DEG, TAG_SD_DEG = 4.0, 3.0
WRONG = 0.025
CHANCES = (0.0, 0.025, 0.1, 0.27, 0.5, 0.73, 0.88, 1.0)


class Encoder(nn.Module):
    """48 x 48 maps to a code."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in zip((6, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.maps = nn.Sequential(*layers)
        self.drop, self.code = nn.Dropout(0.2), nn.Linear(CHANNELS[-1] * 9, CODE)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.code(self.drop(self.maps(x).flatten(1)))


class Member(nn.Module):
    """One of the ensemble: encoder, then the reading of all views."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.seen, self.view = nn.Linear(CODE + SCALARS, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.both, self.drop = nn.Linear(2 * HIDDEN, HIDDEN), nn.Dropout(0.2)
        self.out = nn.Linear(HIDDEN, len(LADDER_MM) + len(DEEP_MM))

    def forward(self, maps: torch.Tensor, scalars: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        flat = maps.flatten(0, 1)
        code = (self.encoder(flat) + self.encoder(flat.flip(-1))) / 2  # the same for a picture and its mirror image
        x = torch.cat([code.view(*maps.shape[:2], -1), scalars], -1)
        x = torch.relu(self.view(torch.relu(self.seen(x))))
        here = seen.float()[..., None]
        mean, most = (x * here).sum(1) / here.sum(1), (x - 1e3 * (1 - here)).max(1).values
        return self.out(self.drop(torch.relu(self.both(torch.cat([mean, most], -1)))))


def load(cache: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Studies with two views or more."""
    tables = [np.load(cache / f"{name}_place.npz") for name in names]
    found = {key: np.concatenate([table[key] for table in tables]) for key in ("maps", "seen", "told", "truth")}
    return {key: each[found["seen"].sum(1) >= 2] for key, each in found.items()}


def facts(told: np.ndarray, code: tuple[float, ...] = (), rng: np.random.Generator | None = None) -> ViewFacts:
    """A view as the product knows it; with `rng` its angles are off as tags are."""
    beam_deg, primary, secondary, confidence, distance, sd, depth = told.tolist()
    if rng is not None:
        beam_deg += rng.normal(0, SINE_SD_DEG)
        primary, secondary = primary + rng.normal(0, TAG_SD_DEG), secondary + rng.normal(0, TAG_SD_DEG)
    return ViewFacts(
        code=code, sine=float(abs(np.sin(np.radians(beam_deg)))), confidence=confidence, edge_sd_mm=sd,
        beam=picture_axes(primary, secondary, ZeroView.BACK)[2],
        distance_mm=None if np.isnan(distance) else distance, depth_mm=None if np.isnan(depth) else depth,
    )  # fmt: skip


def batch(data: dict[str, np.ndarray], rows: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """Studies with a little noise, now and then one view less."""
    maps, seen = data["maps"][rows].astype(np.float32), data["seen"][rows].copy()
    for study in seen:
        if study.sum() > 2 and rng.random() < 0.4:
            study[rng.choice(np.flatnonzero(study))] = False
    maps[:, :, :2] = np.clip(maps[:, :, :2] + rng.normal(0, 0.05, maps[:, :, :2].shape), 0, 1)
    maps[:, :, 2:5] *= np.exp(rng.normal(0, 0.08, (len(maps), 3, 1, 1, 1)))
    scalars = np.array([[view_scalars(facts(view, rng=rng)) for view in study] for study in data["told"][rows]])
    return torch.tensor(maps), torch.tensor(scalars, dtype=torch.float32), torch.tensor(seen)


def targets(truth: np.ndarray) -> torch.Tensor:
    rungs = [truth[:, 0] >= rung for rung in LADDER_MM] + [truth[:, 1] >= rung for rung in DEEP_MM]
    return torch.tensor(np.stack(rungs, 1).astype(np.float32))


def train(data: dict[str, np.ndarray], seed: int) -> Member:
    """One member."""
    torch.manual_seed(seed)
    rng, net, wanted = np.random.default_rng(seed), Member(), targets(data["truth"])
    optimiser, count = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-3), len(wanted)
    steps, step = EPOCHS * (count // BATCH), 0
    for _ in range(EPOCHS):
        order = rng.permutation(count)
        for start in range(0, count - BATCH + 1, BATCH):
            for group in optimiser.param_groups:
                group["lr"] = RATE * min(1, (step + 1) / 50) * (0.5 * (1 + np.cos(np.pi * step / steps)) + 0.01)
            rows = np.sort(order[start : start + BATCH])
            loss = F.binary_cross_entropy_with_logits(net(*batch(data, rows, rng)), wanted[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
    return net.eval()


class Encoders(nn.Module):
    """All encoders side by side."""

    def __init__(self, members: list[Member]) -> None:
        super().__init__()
        self.each = nn.ModuleList(member.encoder for member in members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([encoder(x) for encoder in self.each], 1)


def reader_of(members: list[Member], model_sha256: str) -> PlaceReader:
    """What the product reads; only the ladder of thickness is kept."""
    layers = {}
    for name in ("seen", "view", "both", "out"):
        for kind, key in (("weight", "w"), ("bias", "b")):
            each = np.stack([getattr(getattr(member, name), kind).detach().numpy() for member in members])
            layers[f"{name}_{key}"] = each[:, : len(LADDER_MM)] if name == "out" else each
    return PlaceReader(model_sha256=model_sha256, ladder_mm=np.array(LADDER_MM), layers=layers)


def answers(net: cv2.dnn.Net, reader: PlaceReader, data: dict[str, np.ndarray]) -> np.ndarray:
    """Logits of studies as the product gives them, shape (studies, rungs)."""
    out = []
    for maps, seen, told in zip(data["maps"], data["seen"], data["told"], strict=True):
        views = []
        for plane, view in zip(maps[seen].astype(np.float32), told[seen], strict=True):
            net.setInput(np.ascontiguousarray(np.stack([plane, plane[:, :, ::-1]])))
            views.append(facts(view, tuple(net.forward().mean(axis=0).tolist())))
        out.append(thickness_logits(views, reader))
    return np.array(out)


def tell(name: str, logits: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    """How a set is answered; how much thick bone is called not thick, and of how much."""
    thick, out = truth[:, 0] >= LADDER_MM[THICK], logits[:, THICK] <= EXCLUDED
    kinds = ", ".join(
        f"{kind} {out[here].sum()} of {here.sum()}"
        for k, kind in enumerate(KINDS)
        if (here := (truth[:, 2] == k) & ~thick).any()
    )
    print(f"{name}: not thick for certain: {out[~thick].sum()} of {(~thick).sum()} that are not ({kinds}), "
          f"{out[thick].sum()} of {thick.sum()} that are; surest of thick: logit {logits[:, THICK].max():.1f}")  # fmt: skip
    chance = 1 / (1 + np.exp(-logits[:, THICK]))
    for low, high in pairwise(CHANCES):
        here = (chance >= low) & (chance < high)
        if here.any():
            print(f"    said {chance[here].mean():.2f} of {here.sum()}: {thick[here].mean():.2f}")
    return int(out[thick].sum()), int(thick.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--train", nargs="+", required=True)
    parser.add_argument("--held-out", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data = load(args.cache, args.train)
    print(f"{len(data['truth'])} studies", flush=True)
    members = [train(data, seed) for seed in range(MEMBERS)]
    reader, made = reader_of(members, hashlib.sha256(args.model.read_bytes()).hexdigest()), args.cache / ENCODER_FILE
    torch.onnx.export(
        Encoders(members).eval(), (torch.rand(2, 6, 48, 48),), made, opset_version=13, input_names=["surroundings"],
        output_names=["code"], dynamo=False,
    )  # fmt: skip
    net = cv2.dnn.readNetFromONNX(str(made))
    found = np.array([tell(name, answers(net, reader, held), held["truth"])
                      for name in args.held_out for held in [load(args.cache, [name])]])  # fmt: skip
    wrong, thick = found.sum(0).tolist()
    if wrong > WRONG * thick:
        raise SystemExit(f"{wrong} of {thick} held-out needles in thick bone are called not thick: nothing is written")
    (args.out / ENCODER_FILE).write_bytes(made.read_bytes())
    single = {name: each.astype(np.float32) for name, each in reader.layers.items()}
    np.savez(args.out / READER_FILE, model_sha256=reader.model_sha256, ladder_mm=reader.ladder_mm, **single)


if __name__ == "__main__":
    main()
