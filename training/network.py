"""A small U-Net: a strided stem, five levels, output at half the input's size; only layers that OpenCV runs from ONNX."""

from __future__ import annotations

import torch
from torch import nn

CHANNELS = (20, 40, 72, 112, 144)
OUTPUTS = 7  # hip, other bone, shaft, tip, thickness median, spread down, spread up


def block(cin: int, cout: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.stem(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up in self.up:
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = up(torch.cat([x, levels.pop()], 1))
        return self.head(x)
