#!/usr/bin/env bash
# From a folder of photos and a multimodal model on an endpoint to a classifier and a report that says whether it is
# better than labels alone. Interrupted, it goes on where it was.
#
#   examples/quickstart.sh PHOTOS ENDPOINT MODEL [OUT]
#   examples/quickstart.sh photos http://localhost:11434/v1 qwen2.5vl
#
# PHOTOS holds one sub-folder a class; images without a label lie in _unlabelled. The model is EfficientNet-Lite0 with
# ImageNet weights, its head fitted on frozen features, which takes a laptop minutes. To train all of it on a GPU:
#   FREEZE=false ARCH=resnet50 SIZE=224 examples/quickstart.sh ...
set -euo pipefail
(($# >= 3)) || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
photos=$1 endpoint=$2 model=$3 out=${4:-quickstart-out}
train="$out/photos.csv?split=train" test="$out/photos.csv?split=test"
arch=${ARCH:-tf_efficientnet_lite0} size=${SIZE:-160} freeze=${FREEZE:-true} seeds=${SEEDS:-3}
[[ $freeze == true ]] && how=--freeze || how=--no-freeze
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"

gpt4image doctor --endpoint "$endpoint" --model "$model"
gpt4image split "$photos" --list "$out/photos.csv"
gpt4image describe "$train" "$out/work" --endpoint "$endpoint" --model "$model" --prompt describe_and_pick || (($? == 3))
gpt4image embed "$out/work"
gpt4image label "$train" "$out/work" --input-size "$size"
gpt4image train "$train" "$out/run" --work "$out/work" --labels default \
    --model "$arch" --input-size "$size" --pretrained $how
gpt4image evaluate "$out/run" "$test"
gpt4image export "$out/run" "$out/exported" --images "$test"

# One run proves little: the given labels alone, the LLM's picks alone, and all that is known, over seeds.
cat >"$out/recipe.yaml" <<RECIPE
title: $(basename "$photos")
images: $train
test_images: $test
work: $out/work
label: {input_size: $size}
arms: [picks, aligned]
seeds: $seeds
train: {model: $arch, input_size: $size, pretrained: true, freeze: $freeze}
RECIPE
gpt4image compare "$out/recipe.yaml" --out "$out/comparison"
