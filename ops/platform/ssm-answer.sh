#!/usr/bin/env bash
# Runs a program on a host, and encodes its output for SSM, which keeps only the first 24,000 characters of a command's
# standard output, and the first 8,000 of its standard error. Sent along with each command, so hosts need not have it.
#
#   ssm-answer.sh run BYTES ERROR_BYTES PROGRAM [ARGUMENT]...   prints at most so many bytes of output and of errors
#   ssm-answer.sh part BYTES FILE NUMBER                        prints another part, counted from 0
#
# The output is enclosed in a line with its encoding, and a line that shows that it is complete:
#
#   answer plain              verbatim
#   answer packed             compressed by gzip, in base64
#   answer parts COUNT FILE   the first part of that; the others are in a file
#   ...
#   answer end
#
# Of standard error, the end is kept. Exits with the program's exit code.
set -euo pipefail

# Files with parts are removed after so many minutes.
readonly kept_minutes=30

size_of() {
  stat --format=%s "$1"
}

part() {
  dd if="$2" bs="$1" skip="$3" count=1 status=none
}

# frame WORD...: encloses standard input as an answer.
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
    printf '(the first %s of %s bytes were omitted)\n' $((size - bytes)) "$size" >&2
  fi
  # Drops the rest of a character that was cut in two.
  tail --bytes="$bytes" "$errors" | LC_ALL=C sed '1s/^[\x80-\xbf]*//' >&2
}

run() {
  local bytes=$1 error_bytes=$2 status=0
  shift 2
  # In memory if possible, so that it works on a full disk as well.
  if ! directory=$(mktemp --directory /run/cluster-answer.XXXXXX 2>/dev/null || mktemp --directory -t cluster-answer.XXXXXX); then
    exec "$@"
  fi
  trap 'rm --recursive --force "$directory"' EXIT
  "$@" >"$directory/output" 2>"$directory/errors" </dev/null || status=$?
  # find fails if a file disappears meanwhile.
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
