#!/usr/bin/env bash
# Makes build/cuda-pack.tar.xz from the build that is here: Node, the addon and the programs of bench/cuda, for a GPU
# machine that has python3 with the same version of torch, and neither Node nor a network. run.sh finds it there.
#
#   bench/cuda/pack.sh [--data [FOLDER]]
#
# --data  also build/fashion-mnist.tar.xz, the data set that session.sh trains on, of the four IDX files in FOLDER
#         (default: where Debian's package has them)
set -eu
cd "$(dirname "$0")/../.."
case "${1:-}" in
  '') ;;
  --data)
    folder=${2:-/usr/share/datasets/fashion-mnist}
    plain=$(mktemp -d)
    for file in "$folder"/*-ubyte.gz; do gunzip -c "$file" >"$plain/$(basename "$file" .gz)"; done
    mkdir -p build
    XZ_OPT="-T1 -9e" tar -C "$plain" -cJf build/fashion-mnist.tar.xz .
    rm -rf "$plain"
    echo "build/fashion-mnist.tar.xz: $(($(wc -c <build/fashion-mnist.tar.xz) / 1000000)) MB"
    ;;
  *) echo "pack.sh: expected --data [FOLDER], received $1" >&2; exit 2 ;;
esac
built=${DETAIL_GUIDANCE_BUILD:-build}
pack=build/cuda-pack
rm -rf "$pack" "$pack.tar.xz"
mkdir -p "$pack/bin"
node node_modules/tsup/dist/cli-default.js --config bench/cuda/tsup.config.ts
cp -r "$built/Release" "$pack/Release"
cp "$(command -v node)" "$pack/bin/node"
# What the debugger would want is the larger part of the libraries.
if command -v strip >/dev/null; then strip --strip-debug "$pack"/Release/*.node "$pack/bin/node"; fi
XZ_OPT="-T0 -9e" tar -C build -cJf "$pack.tar.xz" cuda-pack bench-cuda
rm -rf "$pack"
bytes=$(wc -c <"$pack.tar.xz")
echo "$pack.tar.xz: $((bytes / 1000000)) MB"
[ "$bytes" -lt 62000000 ] || { echo "more than 62 MB: it will not fit where 64 MiB are carried" >&2; exit 1; }
