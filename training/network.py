"""A small U-Net: a strided stem, five levels, output at half the input's size; only layers that OpenCV runs from ONNX."""

from __future__ import annotations

import torch
from torch import nn

CHANNELS = (20, 40, 72, 112, 144)
DEEP = (1, 2)  # further pairs of layers at the two coarsest levels
OUTPUTS = 7  # hip, other bone, shaft, tip, thickness median, spread down, spread up


def block(cin: int, cout: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two more layers around what is there; adds nothing at first, so a trained network can be deepened and trained on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = block(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(self.first(x)))


class BoneNet(nn.Module):
    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        self.stem = nn.Sequential(block(3, channels[0], 2), block(channels[0], channels[0]))
        self.down = nn.ModuleList(
            nn.Sequential(block(a, b, 2), block(b, b)) for a, b in zip(channels, channels[1:], strict=False)
        )
        self.up = nn.ModuleList()
        for k in range(len(channels) - 1, 0, -1):
            layers = [block(channels[k] + channels[k - 1], channels[k - 1])]
            if k > 2:
                layers.append(block(channels[k - 1], channels[k - 1]))
            self.up.append(nn.Sequential(*layers))
        self.head = nn.Conv2d(channels[0], OUTPUTS, 1)
        nn.init.constant_(self.head.bias, -1.0)
        # the two coarsest levels, where it is decided which bone is meant, are deep: they cost little
        self.deep = nn.ModuleList(
            nn.Sequential(*(Residual(c) for _ in range(many))) for c, many in zip(channels[-2:], DEEP, strict=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.stem(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
            first_deep = len(levels) - len(self.down)
            if first_deep >= 0:
                levels[-1] = self.deep[first_deep](levels[-1])
        x = levels.pop()
        for up in self.up:
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = up(torch.cat([x, levels.pop()], 1))
        return self.head(x)
