#!/usr/bin/env bash
# Runs a program on a host and prints what it printed as SSM carries it: of a command's output SSM keeps the first
# 24,000 characters, of its errors the first 8,000. Travels with each command, so that no host needs to have it.
#
#   ssm-answer.sh run BYTES ERROR_BYTES PROGRAM [ARGUMENT]...   at most so many bytes of output and of errors
#   ssm-answer.sh part BYTES FILE NUMBER                        a further part, from 1 on
#
# The output stands between a line that says what it is and a line that says that it is whole:
#
#   answer plain              as it was printed
#   answer packed             by gzip, in base64
#   answer parts COUNT FILE   the same, its first part; the others are in a file
#   ...
#   answer end
#
# Of errors the end is kept. Ends as the program does.
set -euo pipefail

# Files with parts that nobody has fetched for so long are removed, in minutes.
readonly kept_minutes=30

size_of() {
  stat --format=%s "$1"
}

part() {
  dd if="$2" bs="$1" skip="$3" count=1 status=none
}

# frame WORD...: what comes on standard input as an answer.
frame() {
  printf 'answer %s\n' "$*"
  cat
  printf '\nanswer end\n'
}

tell_output() {
  local bytes=$1 output=$2 packed size kept
  if (($(size_of "$output") <= bytes)); then
    frame plain <"$output"
    return
  fi
  packed=$output.packed
  gzip <"$output" | base64 --wrap=0 >"$packed"
  size=$(size_of "$packed")
  if ((size <= bytes)); then
    frame packed <"$packed"
    return
  fi
  kept=${directory%/*}/cluster-answered.${directory##*.}
  mv "$packed" "$kept"
  part "$bytes" "$kept" 0 | frame parts $(((size + bytes - 1) / bytes)) "$kept"
}

tell_errors() {
  local bytes=$1 errors=$2 size
  size=$(size_of "$errors")
  if ((size > bytes)); then
    printf '(the first %s of %s bytes are left out)\n' $((size - bytes)) "$size" >&2
  fi
  # A character may be cut in two.
  tail --bytes="$bytes" "$errors" | LC_ALL=C sed '1s/^[\x80-\xbf]*//' >&2
}

run() {
  local bytes=$1 error_bytes=$2 status=0
  shift 2
  # In memory where that can be: a full disk is one of the things that hosts are asked about.
  if ! directory=$(mktemp --directory /run/cluster-answer.XXXXXX 2>/dev/null || mktemp --directory -t cluster-answer.XXXXXX); then
    exec "$@"
  fi
  trap 'rm --recursive --force "$directory"' EXIT
  "$@" >"$directory/output" 2>"$directory/errors" </dev/null || status=$?
  # Files come and go meanwhile, which is an error to find.
  find "${directory%/*}" -maxdepth 1 -name 'cluster-answered.*' -user "$EUID" -mmin "+$kept_minutes" \
    -delete 2>/dev/null || true
  tell_errors "$error_bytes" "$directory/errors"
  tell_output "$bytes" "$directory/output"
  exit "$status"
}

case $1 in
  run) run "${@:2}" ;;
  part) part "$2" "$3" "$4" | frame plain ;;
esac
