#!/usr/bin/env bash
# Everything that a GPU is asked which is there for a few minutes only, in one command: the checks of checks.ts while the
# embedded model's own training is repeated and watched (neither is timed), then parts of run.sh, alone.
#
#   bench/cuda/session.sh --seconds N [--out FOLDER] [--parts PART,PART] [--steps N] [--device cuda] [--dry-run]
#
# --seconds N   all of it, from start to end; the training ends, annealed, after two thirds of it at the latest
# --out FOLDER  new or empty: checks.txt, training.tar.xz (log.jsonl, average.ckpt, samples.png, growth.ckpt),
#               results.tar.xz (what run.sh writes) and the logs, also of a session that is ended from outside (default
#               build/gpu-session)
# --parts       of run.sh, in its order (default small-quantised,dit-quantised,offload,small,dit)
# --steps N     of training (default 25160: what the embedded model had)
# --dry-run     on the CPU, tiny models, few steps: proves the script
#
# Where there is no npm, network or data set: bench/cuda/pack.sh --data makes build/cuda-pack.tar.xz and
# build/fashion-mnist.tar.xz elsewhere, which are all that has to be brought along beside the repository. Needs python3
# with torch, numpy and Pillow.
set -u
cd "$(dirname "$0")/../.."

seconds='' out=build/gpu-session parts=small-quantised,dit-quantised,offload,small,dit steps=25160 device=cuda dry=''
usage() { sed -n '2,/^set -u/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2; }
while [ $# -gt 0 ]; do
  if [ "$1" = --dry-run ]; then dry=--dry-run device=cpu; shift; continue; fi
  [ $# -gt 1 ] || usage
  case "$1" in
    --seconds) seconds=$2 ;;
    --out) out=$2 ;;
    --parts) parts=$2 ;;
    --steps) steps=$2 ;;
    --device) device=$2 ;;
    *) usage ;;
  esac
  shift 2
done
case "$seconds" in '' | *[!0-9]*) usage ;; esac
if [ -n "$(ls -A "$out" 2>/dev/null)" ]; then echo "--out $out is not empty; a new folder would be right" >&2; exit 2; fi
python=${DETAIL_GUIDANCE_BENCH_PYTHON:-python3}
left() { echo $((seconds - SECONDS)); } # SECONDS: since this shell began
say() { echo "> $1, $SECONDS s"; }
work=$(mktemp -d) && mkdir -p "$out" "$work/results" "$work/training" || exit 1
export PYTHONUNBUFFERED=1
run=(bash bench/cuda/run.sh --out "$work/results")
[ "$device" = cuda ] || run+=(--device "$device")
[ -z "$dry" ] || run+=("$dry")
"${run[@]}" --only "$parts" --seconds 0 >/dev/null || exit 2 # nothing is begun: it looks at the parts alone

running=''
finish() {
  [ -z "$running" ] || kill "$running" 2>/dev/null
  tar -cJf "$out/training.tar.xz" -C "$work" training && tar -cJf "$out/results.tar.xz" -C "$work" results
  cp "$work/results/checks.txt" "$out/" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' TERM INT

data=()
if [ -n "$dry" ]; then
  mkdir "$work/data"
  "$python" - "$work/data" <<'EOF'
import gzip, os, struct, sys
for prefix in ("train", "t10k"):
    for part, sides in (("images-idx3", (64, 28, 28)), ("labels-idx1", (64,))):
        count = 64 * 28 * 28 if len(sides) == 3 else 64
        values = os.urandom(count) if len(sides) == 3 else bytes(i % 10 for i in range(count))
        head = b"\0\0\x08" + bytes([len(sides)]) + struct.pack(f">{len(sides)}I", *sides)
        with gzip.open(f"{sys.argv[1]}/{prefix}-{part}-ubyte.gz", "wb") as file:
            file.write(head + values)
EOF
  data=(--data "$work/data")
elif [ -e build/fashion-mnist.tar.xz ]; then
  mkdir "$work/data"
  tar -xJf build/fashion-mnist.tar.xz -C "$work/data" && gzip -1 "$work"/data/*
  data=(--data "$work/data")
fi
# The rate falls by whichever is further on, steps or minutes: enough time leaves the steps alone to decide.
minutes=$(awk "BEGIN { print $seconds / 90 }")
training=(--preset small --steps "$steps" --minutes "$minutes" --batch-size 256 --report-every 500 --save-every 1000000
  --watch-samples 500 --points-per-doubling 1.5)
[ -z "$dry" ] || training=(--preset tiny --steps 20 --batch-size 8 --watch-samples 10 --final-samples 20)
"$python" -m models.train "${training[@]}" "${data[@]}" --device "$device" --output "$work/run" \
  --results "$work/training" >"$out/training.log" 2>&1 &
running=$!
failed=0
say checks
"${run[@]}" --only checks --seconds "$(left)" >"$out/checks.log" 2>&1 || failed=1
cat "$work/results/checks.txt" || cat "$out/checks.log"
say training
wait "$running" || failed=1
running=''
tail -n 4 "$out/training.log"
say "$parts"
rest=$(($(left) - 10)) # for putting the results together
if [ "$rest" -gt 0 ]; then
  "${run[@]}" --only "$parts" --seconds "$rest" >"$out/benchmarks.log" 2>&1 || failed=1
  cat "$out/benchmarks.log"
else
  echo "no time is left for them"
  failed=1
fi
say "results: $out"
exit $failed
