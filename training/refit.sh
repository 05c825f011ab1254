#!/bin/bash
# Fits anew how the views of a study make one thickness, for the network that is packaged now.
# usage: bash training/refit.sh CACHE [PYTHON]     (CACHE holds studies1 and studies2, see README.md)
# Nothing is written unless the fit passes its own check (training/fuse.py).
set -eu
cd "$(dirname "$0")/.."
cache=$(realpath "$1") python=${2:-python}
export PYTHONPATH=src OMP_NUM_THREADS=1
model=src/marrowpoint/models/bone_prior.onnx
jobs=()
for name in studies1 studies2; do
    "$python" training/assess_studies.py --cache "$cache" --model "$model" --name "$name" --inside &
    jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done
"$python" training/fuse.py --cache "$cache" --model "$model" --names studies1 studies2 \
    --out src/marrowpoint/models/thickness_fusion.json
"$python" -c '
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.study.thickness import packaged_fusion
network, fusion = load_network(None), packaged_fusion()
if network is None or fusion is None or fusion.model_sha256 != network.sha256:
    raise SystemExit("the packaged fit does not belong to the packaged network")
print("the packaged fit belongs to the packaged network")
'
