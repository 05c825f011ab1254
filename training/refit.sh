#!/bin/bash
# Fits anew how the views of a study make one thickness, for the network that is packaged now.
# usage: bash training/refit.sh CACHE [PYTHON]     (CACHE holds studies1 and studies2, see README.md)
set -eu
cd "$(dirname "$0")/.."
cache=$(realpath "$1") python=${2:-python}
export PYTHONPATH=src OMP_NUM_THREADS=1
model=src/marrowpoint/models/bone_prior.onnx
for name in studies1 studies2; do
    "$python" training/assess_studies.py --cache "$cache" --model "$model" --name "$name" --inside &
done
wait
"$python" training/fuse.py --cache "$cache" --model "$model" --names studies1 studies2 \
    --out src/marrowpoint/models/thickness_fusion.json
