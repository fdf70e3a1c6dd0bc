#!/usr/bin/env bash
# From a folder of photos and a multimodal model on an endpoint to a classifier and a report that says whether the
# descriptions helped. Interrupted, it goes on where it was.
#
#   examples/quickstart.sh PHOTOS ENDPOINT MODEL [OUT]
#   examples/quickstart.sh photos http://localhost:11434/v1 qwen2.5vl
#
# PHOTOS holds one sub-folder a class; images without a label lie in _unlabelled. On a CPU, make it smaller:
#   ARCH=resnet10t SIZE=64 EPOCHS=30 examples/quickstart.sh ...
set -euo pipefail
(($# >= 3)) || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
photos=$1 endpoint=$2 model=$3 out=${4:-quickstart-out}
train="$out/photos.csv?split=train" test="$out/photos.csv?split=test"
arch=${ARCH:-resnet18} size=${SIZE:-128} epochs=${EPOCHS:-60} seeds=${SEEDS:-3}
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"

gpt4image doctor --endpoint "$endpoint" --model "$model"
gpt4image split "$photos" --list "$out/photos.csv"
gpt4image describe "$train" "$out/work" --endpoint "$endpoint" --model "$model" --prompt attributes || (($? == 3))
gpt4image embed "$out/work"
gpt4image train "$train" "$out/run" --work "$out/work" --model "$arch" --input-size "$size" --epochs "$epochs"
gpt4image evaluate "$out/run" "$test"
gpt4image export "$out/run" "$out/exported" --images "$test"

# One run proves little: the plain model against the one with texts, and a control with shuffled texts, over seeds.
cat >"$out/recipe.yaml" <<RECIPE
title: $(basename "$photos")
images: $train
test_images: $test
work: $out/work
seeds: $seeds
train: {model: $arch, input_size: $size, epochs: $epochs}
RECIPE
gpt4image compare "$out/recipe.yaml" --out "$out/comparison"
