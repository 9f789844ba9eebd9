#!/usr/bin/env bash
# Proves and measures detail-guidance on an NVIDIA GPU: the checks of checks.ts, then the benchmark at several sizes.
#
#   bench/cuda/run.sh [--device cuda:0] [--out FOLDER] [--only PART] [--quick] [--dry-run]
#
# --only PART  checks, small, dit, sd3 or flux: where a command may not run for long (all of it takes about half an hour)
# --quick      checks and the small model, one round
# --dry-run    the same on the CPU with tiny models: proves the script, not the GPU
#
# With a pack (bench/cuda/pack.sh made it elsewhere, for the same PyTorch) it takes Node and the addon from there;
# without one it builds against the PyTorch that python3 has. Needs python3 with torch, which is also the peer.
set -eu
cd "$(dirname "$0")/../.."

device=cuda:0 out=build/bench-cuda-results quick=0 dry=0 only=''
while [ $# -gt 0 ]; do
  case "$1" in
    --device) device=$2; shift ;;
    --out) out=$2; shift ;;
    --only) only=$2; shift ;;
    --quick) quick=1 ;;
    --dry-run) dry=1 quick=1 device=cpu ;;
    *) sed -n '2,/^set -eu/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2 ;;
  esac
  shift
done
mkdir -p "$out"
out=$(cd "$out" && pwd)

pack=build/cuda-pack.tar.xz
if [ -e "$pack" ]; then
  echo "> pack: $pack"
  tar -xJf "$pack" -C build
  export PATH="$PWD/build/cuda-pack/bin:$PATH" DETAIL_GUIDANCE_BUILD="$PWD/build/cuda-pack"
elif [ "$dry" = 0 ] || [ ! -e "${DETAIL_GUIDANCE_BUILD:-build}/Release/detail_guidance.node" ]; then
  LIBTORCH_USE_PYTORCH=1 npm run build
fi
programs=build/bench-cuda
[ -e "$pack" ] || node node_modules/tsup/dist/cli-default.js --config bench/cuda/tsup.config.ts

python=${DETAIL_GUIDANCE_BENCH_PYTHON:-python3}
export DETAIL_GUIDANCE_BENCH_PYTHON="$python"
runs=200
[ "$dry" = 1 ] && runs=5

failed=0
wanted() { [ -z "$only" ] || [ "$only" = "$1" ]; }
if wanted checks; then
  echo "> checks"
  node "$programs/checks.cjs" --device "$device" --runs "$runs" --json "$out/checks.json" | tee "$out/checks.txt" || failed=1
  grep -q '^failed' "$out/checks.txt" && failed=1
fi

benchmark() { # size dtype rounds steps [--only names]
  local name="$1-$2" ; local size=$1 dtype=$2 rounds=$3 steps=$4 ; shift 4
  echo "> benchmark: $size, $dtype"
  if node "$programs/benchmark.cjs" --device "$device" --size "$size" --dtype "$dtype" --rounds "$rounds" \
      --steps "$steps" --json "$out/$name.json" "$@" >"$out/$name.md" 2>"$out/$name.log"; then
    cat "$out/$name.md"
  else
    failed=1
    tail -n 20 "$out/$name.log"
  fi
}

# Two copies of the weights, ours and Python's, and the activations.
fits() { # gigabytes
  "$python" -c "import sys, torch; sys.exit(torch.cuda.mem_get_info('$device')[1] < $1 * 1e9)"
}

if [ "$dry" = 1 ]; then
  benchmark tiny float32 1 2 --only detail-over-cfg@0.5,python-eager
  benchmark tiny-joint float32 1 2 --only detail-over-cfg@0.5,python-eager,scale-0.5,unfused
elif [ "$quick" = 1 ]; then
  benchmark full bfloat16 1 20
else
  if wanted small; then benchmark full bfloat16 5 20; fi
  if wanted dit; then
    benchmark dit-xl-2 bfloat16 5 20
    benchmark dit-xl-2 float32 3 10 --only detail-over-cfg,python-eager
  fi
  if wanted sd3; then benchmark sd3-medium bfloat16 3 10; fi
  if wanted flux; then
    if fits 70; then
      benchmark flux bfloat16 2 4 --only detail-over-cfg,python-eager,reduce-overhead,images-2,scale
    else
      echo "flux: left out, the device has less than 70 GB"
    fi
  fi
fi
echo "results: $out"
exit $failed
