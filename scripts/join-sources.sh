#!/usr/bin/env bash
# Writes sources that include others: scripts/join-sources.sh INTO BYTES FILE...   (called by the Makefile)
# Files of one folder are put together until they have BYTES; such a source stands below INTO by the path of its first
# file. One that is there with the same text is not touched. Prints the paths of all, or nothing if something is wrong.
set -euo pipefail
into=$1 bytes_most=$2
[[ $bytes_most =~ ^[0-9]+$ ]] || { echo "$0: JOIN is '$bytes_most': not a number of bytes" >&2; exit 2; }
shift 2
sizes=$(wc -c "$@")
text= target= folder= bytes=0 targets=()
finish() {
  [ -n "$target" ] || return 0
  if [ ! -f "$target" ] || [ "$(<"$target")" != "${text%$'\n'}" ]; then
    mkdir -p "${target%/*}"
    printf '%s' "$text" >"$target.$$"
    mv "$target.$$" "$target"
  fi
  targets+=("$target")
}
while read -r size path; do
  [ "$path" != total ] || continue
  if [ "${path%/*}" != "$folder" ] || [ $((bytes + size)) -gt "$bytes_most" ]; then
    finish
    target=$into/$path folder=${path%/*} text= bytes=0
  fi
  text+="#include \"$path\""$'\n'
  bytes=$((bytes + size))
done <<<"$(LC_ALL=C sort -k 2 <<<"$sizes")"
finish
printf '%s\n' "${targets[@]}"
