#!/usr/bin/env bash
# Trains the embedded model's shape (small: patches of 4 x 4) and a finer one (fine: 2 x 2) at once on one GPU, within
# a given time, and evaluates both.
#
#   models/train_gpu.sh --seconds 250 [--results FOLDER] [--data FOLDER] [--runs FOLDER] [--device cuda] [--dry-run]
#
# --seconds N       all of it, from start to end; the last minute of it evaluates
# --results FOLDER  small/ and fine/: log.jsonl, average.ckpt, samples.png, growth.ckpt, 25 MB in all; written while
#                   training goes on, so that a run that is cut short leaves what it has (default build-models/results)
# --data FOLDER     of the four IDX files of Fashion-MNIST (default: where Debian's package has them)
# --runs FOLDER     for the checkpoints, which a later run goes on from (default build-models)
# --dry-run         on the CPU, tiny models, few steps: proves the script
#
# Needs python3 with torch, numpy and Pillow (DETAIL_GUIDANCE_PYTHON names another).
set -u
cd "$(dirname "$0")/.."

python=${DETAIL_GUIDANCE_PYTHON:-python3}
seconds='' results='' data=() runs=build-models device=cuda dry=0
usage() { sed -n '2,/^set -u/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) dry=1 device=cpu; shift; continue ;;
    --seconds | --results | --data | --runs | --device) [ $# -gt 1 ] || usage ;;
    *) usage ;;
  esac
  case "$1" in
    --seconds) seconds=$2 ;;
    --results) results=$2 ;;
    --data) data=(--data "$2") ;;
    --runs) runs=$2 ;;
    --device) device=$2 ;;
  esac
  shift 2
done
case "$seconds" in '' | *[!0-9]*) usage ;; esac
results=${results:-$runs/results}
mkdir -p "$results" "$runs"
export PYTHONUNBUFFERED=1

# Until when training goes on: the rest is for starting Python and for evaluating.
train() { # name, seconds that are not for training, options of models.train
  local name=$1 rest=$2
  shift 2
  local minutes
  minutes=$(awk "BEGIN { left = $seconds - $rest; print (left > 5 ? left : 5) / 60 }")
  # SIGTERM: it saves. A run that then hangs is not waited for.
  timeout --signal=TERM --kill-after=5 "$seconds" \
    "$python" -m models.train "${data[@]}" --device "$device" --minutes "$minutes" \
    --output "$runs/$name" --results "$results/$name" "$@" 2>&1 | sed -u "s/^/$name: /"
}

if [ "$dry" = 1 ]; then
  tiny='--preset tiny --steps 120 --batch-size 8 --warmup-steps 5 --report-every 20 --save-every 25 --watch-samples 10 --final-samples 20'
  # shellcheck disable=SC2086
  train small 5 $tiny & train fine 5 $tiny &
else
  train small 40 --preset small --steps 100000 --report-every 200 --save-every 5000 --watch-samples 1000 \
    --points-per-doubling 1.5 &
  train fine 60 --preset fine --ema-decay 0.9997 --report-every 200 --save-every 5000 --watch-samples 1000 &
fi
wait
find "$results" -name '*.unfinished' -delete
find "$results" -type f -exec ls -l {} +
for name in small fine; do
  grep -h '"final"' "$results/$name/log.jsonl" | sed "s/^/$name: /"
done
[ -e "$results/small/average.ckpt" ] && [ -e "$results/fine/average.ckpt" ]
