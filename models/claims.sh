#!/usr/bin/env bash
# Puts the paper's claims C4, C5 and C6 to the test on a bundle, several processes at once: `detail-guidance evaluate`
# for every row of the tables in docs/claims.md, and `detail-guidance intervene`.
#
#   models/claims.sh [--bundle models/embedded] [--device cpu] [--samples 5000] [--steps 10] [--interventions 1000]
#                    [--manifold-images 5000] [--batch-size 50] [--jobs N] [--data FOLDER] [--out build-models/claims]
#
# FOLDER/results has a result for each row, what was disrupted (interventions.json) and the tables (tables.md). A row that
# is there is not made again, so that the same command goes on after a stop. Runs on a CPU too, for hours. Needs python3
# with torch, numpy and safetensors (DETAIL_GUIDANCE_PYTHON names another), and `detail-guidance` (DETAIL_GUIDANCE_CLI: the
# file that node runs, by default the built dist/cli.cjs).
set -eu
cd "$(dirname "$0")/.."

python=${DETAIL_GUIDANCE_PYTHON:-python3}
cli=${DETAIL_GUIDANCE_CLI:-dist/cli.cjs}
bundle=models/embedded device=cpu samples=5000 steps=10 interventions=1000 images=5000 batch=50 jobs=$(nproc)
data=() out=build-models/claims
usage() { sed -n '2,/^set -eu/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2; }
while [ $# -gt 0 ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --bundle) bundle=$2 ;;
    --device) device=$2 ;;
    --samples) samples=$2 ;;
    --steps) steps=$2 ;;
    --interventions) interventions=$2 ;;
    --manifold-images) images=$2 ;;
    --batch-size) batch=$2 ;;
    --jobs) jobs=$2 ;;
    --data) data=(--data "$2") ;;
    --out) out=$2 ;;
    *) usage ;;
  esac
  shift 2
done
mkdir -p "$out/results" "$out/runs"
[ -e "$out/test.safetensors" ] || "$python" -m models.fashion_mnist "${data[@]}" --split test --out "$out/test.safetensors"
# A row that is there stays, so it has to be one of these.
"$python" -m models.claims check --bundle "$bundle" --results "$out/results" --samples "$samples" --steps "$steps"
"$python" -m models.claims settings --bundle "$bundle" --out "$out/settings"

evaluate() { # name of the row
  local result=$out/results/$1.json
  [ ! -e "$result" ] || return 0
  node "$cli" evaluate "$bundle" --device "$device" --reference "$out/test.safetensors" --steps "$steps" \
    --samples "$samples" --manifold-images "$images" --batch-size "$batch" --settings "$out/settings/$1.json" \
    --out "$out/runs/$1" --resume >"$out/runs/$1.log" 2>&1 &&
    cp "$out/runs/$1/result.json" "$result.unfinished" && mv "$result.unfinished" "$result" && echo "$1: done"
}
intervene() {
  local result=$out/results/interventions.json
  [ ! -e "$result" ] || return 0
  node "$cli" intervene "$bundle" --device "$device" --samples "$interventions" --batch-size "$batch" \
    --out "$result.unfinished" >"$out/results/interventions.txt" 2>"$out/runs/interventions.log" &&
    mv "$result.unfinished" "$result" && echo "interventions: done"
}
export -f evaluate intervene
export cli bundle device samples steps images batch out interventions
# A process each: one thread is enough for a model this small, and as many as there are processors share them.
[ "$jobs" = 1 ] || export OMP_NUM_THREADS=1
failed=0
{
  echo intervene
  sed 's/^/evaluate /' "$out/settings/order.txt"
} | xargs -P "$jobs" -I{} bash -c '{} || { echo "failed: {}" >&2; exit 1; }' || failed=1
"$python" -m models.claims tables --results "$out/results" >"$out/results/tables.md"
echo "$out/results/tables.md"
exit $failed
