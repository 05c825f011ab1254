"""Writes the trained network as ONNX with its hash, after checking it against PyTorch in cv2.dnn."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import cv2
import numpy as np
import torch
from network import BoneNet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=192)
    args = parser.parse_args()
    net = BoneNet()
    net.load_state_dict(torch.load(args.checkpoint, weights_only=True)["averaged"])
    net.eval()
    x = torch.rand(1, 3, args.size, args.size)
    torch.onnx.export(net, (x,), args.out, opset_version=13, input_names=["picture"], output_names=["maps"], dynamo=False)
    cv2net = cv2.dnn.readNetFromONNX(str(args.out))
    cv2net.setInput(x.numpy())
    worst = float(np.abs(cv2net.forward() - net(x).detach().numpy()).max())
    digest = hashlib.sha256(args.out.read_bytes()).hexdigest()
    args.out.with_suffix(".onnx.sha256").write_text(f"{digest}  {args.out.name}\n")
    print(f"{args.out.name} {args.out.stat().st_size} bytes, largest difference {worst:.2g}, sha256 {digest}")


if __name__ == "__main__":
    main()
