#!/usr/bin/env bash
# Proves and measures detail-guidance on an NVIDIA GPU: the checks of checks.ts, then the benchmark at several sizes.
#
#   bench/cuda/run.sh [--device cuda:0] [--out FOLDER] [--seconds N] [--only PART,PART] [--quick] [--dry-run]
#
# --seconds N  ends within that time: no part is begun that has too little of it left, and none gets more than two thirds
#              of what is left (without, each takes the time it takes)
# --only PART,PART  these alone, where a command may not run for long: checks, small, dit, sd3, flux, offload, small,
#              dit, sd3 and flux with -quantised (int8, fp8, weights alone), small-compile, dit-compile, sd3-compile or
#              flux-compile; those of torch.compile mostly wait for its compiler, and are last
# --quick      checks and the small model, one round
# --dry-run    the same on the CPU with tiny models: proves the script, not the GPU
#
# With a pack (bench/cuda/pack.sh made it elsewhere, for the same PyTorch) it takes Node and the addon from there;
# without one it builds against the PyTorch that python3 has. Needs python3 with torch, which is also the peer.
# FOLDER has a table (.md), ratios (.json), all of the run (.report.json) and a log for each part; the last three also
# of a part that was cut short, up to its last round.
set -eu
cd "$(dirname "$0")/../.."

parts='checks small dit sd3 flux offload small-quantised dit-quantised sd3-quantised flux-quantised small-compile dit-compile sd3-compile flux-compile'
device=cuda:0 out=build/bench-cuda-results quick=0 dry=0 only='' seconds=''
usage() { sed -n '2,/^set -eu/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --device | --out | --only | --seconds) [ $# -gt 1 ] || usage ;;
  esac
  case "$1" in
    --device) device=$2; shift ;;
    --out) out=$2; shift ;;
    --only) only=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --quick) quick=1 ;;
    --dry-run) dry=1 quick=1 device=cpu ;;
    *) usage ;;
  esac
  shift
done
only=${only// /,}
for each in ${only//,/ }; do
  case " $parts " in
    *" $each "*) ;;
    *) echo "--only: expected some of $parts, received $each" >&2; exit 2 ;;
  esac
done
case "$seconds" in *[!0-9]*) echo "--seconds is $seconds; a whole number would be right" >&2; exit 2 ;; esac
left() { echo $((seconds - SECONDS)); } # SECONDS: since this shell began
mkdir -p "$out"
out=$(cd "$out" && pwd)

python=${DETAIL_GUIDANCE_BENCH_PYTHON:-python3}
export DETAIL_GUIDANCE_BENCH_PYTHON="$python"
pack=build/cuda-pack.tar.xz
if [ -e "$pack" ]; then
  echo "> pack: $pack"
  tar -xJf "$pack" -C build
  export PATH="$PWD/build/cuda-pack/bin:$PATH" DETAIL_GUIDANCE_BUILD="$PWD/build/cuda-pack"
  # The PyTorch that is measured is the one that is linked.
  LIBTORCH=${LIBTORCH:-$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))')}
  export LIBTORCH
elif [ "$dry" = 0 ] || [ ! -e "${DETAIL_GUIDANCE_BUILD:-build}/Release/detail_guidance.node" ]; then
  LIBTORCH_USE_PYTORCH=1 npm run build
fi
programs=build/bench-cuda
[ -e "$pack" ] || node node_modules/tsup/dist/cli-default.js --config bench/cuda/tsup.config.ts

failed=0
# A part, and the seconds without which it is not worth beginning.
wanted() {
  case ",${only:-$1}," in *",$1,"*) ;; *) return 1 ;; esac
  [ -z "$seconds" ] || [ "$(left)" -ge "$2" ] || { echo "> $1: left out, $(left) s are left"; return 1; }
}
limited() { # command that is ended when its share of the time is over
  if [ -z "$seconds" ]; then "$@"; return; fi
  local share=$(($(left) * 2 / 3)) ended=0
  [ "$share" -gt 0 ] || share=1 # 0 would be no limit
  timeout --kill-after=5 "$share" "$@" || ended=$?
  case "$ended" in
    124 | 137) echo "cut short after $share s" | tee -a "$out/cut-short.txt"; ended=0 ;;
  esac
  return "$ended"
}

# The models of later parts are written meanwhile, while nothing is timed.
preparing=''
prepare() { # size seconds parts...
  local size=$1 least=$2 part
  shift 2
  [ "$dry$quick" = 00 ] || return 0
  for part in "$@"; do
    wanted "$part" "$least" || continue
    limited node "$programs/benchmark.cjs" --size "$size" --prepare >"$out/prepare-$size.log" 2>&1 &
    preparing="$preparing $!"
    return
  done
}
prepare full 30 small small-quantised small-compile
prepare dit-xl-2 60 dit offload dit-quantised dit-compile
prepare sd3-medium 120 sd3 sd3-quantised sd3-compile

if wanted checks 20; then
  echo "> checks"
  runs=200
  [ "$dry" = 1 ] && runs=5
  limited node "$programs/checks.cjs" --device "$device" --runs "$runs" --json "$out/checks.json" >"$out/checks.txt" 2>&1 ||
    failed=1
  cat "$out/checks.txt"
fi
for each in $preparing; do
  wait "$each" || { echo "a model was not written:"; tail -n 2 "$out"/prepare-*.log; }
done
echo "after $SECONDS s"

benchmark() { # part size dtype rounds steps names
  local name="$1-$3"
  echo "> benchmark: $name"
  limited node "$programs/benchmark.cjs" --device "$device" --size "$2" --dtype "$3" --rounds "$4" --steps "$5" \
    --only "$6" --json "$out/$name.json" --report "$out/$name.report.json" >"$out/$name.md" 2>"$out/$name.log" || failed=1
  cat "$out/$name.md"
  grep -E 'failed:|Error' "$out/$name.log" || true
  echo "after $SECONDS s"
}

memory() { # at least so many gigabytes
  "$python" -c "import sys, torch; sys.exit(torch.cuda.mem_get_info('$device')[1] < $1 * 1e9)"
}

if [ "$dry" = 1 ]; then
  if wanted small 10; then
    benchmark tiny tiny float32 1 2 'detail-over-cfg@0.5,python-eager'
    benchmark tiny-joint tiny-joint float32 1 2 'detail-over-cfg@0.5,python-eager,scale-0.5,unfused'
  fi
  if wanted small-quantised 10; then benchmark tiny-quantised tiny float32 1 2 'bf16-over'; fi
elif [ "$quick" = 1 ]; then
  if wanted small 10; then benchmark small full bfloat16 1 20 '!torch-compile'; fi
else
  if wanted small 20; then benchmark small full bfloat16 5 20 '!torch-compile'; fi
  if wanted dit 40; then benchmark dit dit-xl-2 bfloat16 5 20 '!torch-compile,!fp32-over-bf16'; fi
  if wanted sd3 60; then benchmark sd3 sd3-medium bfloat16 3 10 '!torch-compile,!fp32-over-bf16,!images-8'; fi
  if wanted dit 40; then benchmark dit dit-xl-2 float32 3 10 'detail-over-cfg@0.5,python-eager'; fi
  # Two copies of the weights, ours and Python's, and the activations.
  flux=0
  case ",${only:-flux}" in
    *,flux*) if memory 70; then flux=1; else echo "flux: left out, the device has less than 70 GB"; fi ;;
  esac
  # Its 12 G random weights alone take minutes to make.
  if [ "$flux" = 1 ] && wanted flux 420; then
    benchmark flux flux bfloat16 2 4 'detail-over-cfg,python-eager,images-2,scale'
  fi
  # Time alone: both pipelines are held at once, and what one takes is among the checks.
  if wanted offload 40; then benchmark offload dit-xl-2 bfloat16 5 20 'offloaded'; fi
  if wanted small-quantised 40; then benchmark small-quantised full bfloat16 5 20 'bf16-over'; fi
  if wanted dit-quantised 60; then benchmark dit-quantised dit-xl-2 bfloat16 5 20 'bf16-over'; fi
  if wanted sd3-quantised 120; then benchmark sd3-quantised sd3-medium bfloat16 3 10 'bf16-over,!all'; fi
  # The weights three times: as they are, and twice in 8 bits.
  if [ "$flux" = 1 ] && wanted flux-quantised 420; then
    benchmark flux-quantised flux bfloat16 2 4 'bf16-over-fp8,bf16-over-weight-only'
  fi
  if wanted small-compile 60; then benchmark small-compile full bfloat16 5 20 'torch-compile'; fi
  if wanted dit-compile 90; then benchmark dit-compile dit-xl-2 bfloat16 5 20 'torch-compile'; fi
  if wanted sd3-compile 120; then benchmark sd3-compile sd3-medium bfloat16 3 10 'torch-compile'; fi
  if [ "$flux" = 1 ] && wanted flux-compile 420; then
    benchmark flux-compile flux bfloat16 2 4 'reduce-overhead'
  fi
fi
echo "results: $out, after $SECONDS s"
exit $failed
