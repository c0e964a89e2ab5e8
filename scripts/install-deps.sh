#!/usr/bin/env bash
# Installs with apt what is missing and nothing else: `run` to build, start and link what there is, `test` for the tests
# as well.
# No package here starts or enables a service (redis-tools, not redis-server).
set -euo pipefail
case "${1:-}" in
  run) with_tests=0 ;;
  test) with_tests=1 ;;
  *) echo "usage: $0 run|test" >&2; exit 2 ;;
esac
wanted=(g++ make libuv1-dev liburing-dev libjemalloc-dev libtomlplusplus-dev libxxhash-dev libspdlog-dev pkg-config)
if [ $with_tests = 1 ]; then
  wanted+=(libhiredis-dev doctest-dev redis-tools clang-format python3)
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "This is not Debian or Ubuntu. Install what corresponds to: ${wanted[*]}" >&2
  echo "and build with: make build/fluxkv" >&2
  exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Missing packages. As root, run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q)
install() { "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; }

echo "Installing: ${missing[*]}"
# Fresh machines and containers have no package lists yet; old lists name files that are gone.
if ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
  "${apt[@]}" update
  install
else
  install || { "${apt[@]}" update && install; }
fi
