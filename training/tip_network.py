"""Two small encoders, one a crop, and three numbers: median and spreads of the thickness at the tip."""

from __future__ import annotations

import torch
from network import block
from torch import nn

WIDTHS = (20, 32, 48, 64, 80)


class TipNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList()
        for _ in range(2):
            layers: list[nn.Module] = [block(4, WIDTHS[0], 2)]
            for a, b in zip(WIDTHS, WIDTHS[1:], strict=False):
                layers += [block(a, b, 2), block(b, b)]
            self.encoders.append(nn.Sequential(*layers))
        self.mix = nn.Linear(2 * WIDTHS[-1] * 9, 96)
        self.head = nn.Linear(96, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = [encoder(part).flatten(1) for encoder, part in zip(self.encoders, x.split(4, 1), strict=True)]
        return self.head(nn.functional.dropout(torch.relu(self.mix(torch.cat(seen, 1))), 0.2, self.training))
