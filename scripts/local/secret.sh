#!/usr/bin/env bash
# A secret of a local cluster while it is being rotated. scripts/host/lib.sh says what the phases are.
#
#   secret.sh phase NAME          prints its phase; all hosts that may read the secret can then read it as it is
#   secret.sh advance NAME FROM   changes it from that phase to the next one
#   secret.sh put NAME            replaces it by what is on standard input: one that an operator gives
#
# The profile `secrets` has what counts. The roles' profiles have copies of it, so one that is interrupted is completed by
# the next call, or by a deploy. Values are never arguments of a program.
#
# Facts: DWI_PROJECT; DWI_READERS, the roles that may read it; DWI_KEPT_IN, the folder in which a secret that outlives the
# cluster is kept, empty for others.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project "$DWI_PROJECT"
# A deploy writes the same profiles.
hold_lock "$DWI_PROJECT-foundation"

usage="usage: secret.sh phase NAME | advance NAME FROM | put NAME"
name=${2:?$usage}

profiles=$(incus profile list --format csv --columns n)
is_profile() { grep --quiet --line-regexp "$1" <<<"$profiles"; }

# with_content CONTENT: a profile on standard input, with that content of the secret. A long value goes on in lines that are
# indented further.
with_content() {
  local line replaced=no own=no
  while IFS= read -r line; do
    if [[ $line == "  user.$name: "* ]]; then
      printf '  user.%s: "%s"\n' "$name" "$1"
      replaced=yes own=yes
    elif [[ $own == no || $line != "    "* ]]; then
      own=no
      printf '%s\n' "$line"
    fi
  done
  [[ $replaced == yes ]]
}

# publish CONTENT: to the folder where it is kept, and to the roles' profiles.
publish() {
  local role
  if [[ -n $DWI_KEPT_IN && $(cat "$DWI_KEPT_IN/$name" 2>/dev/null) != "$1" ]]; then
    (
      umask 077
      printf '%s' "$1" >"$DWI_KEPT_IN/$name.new"
    )
    mv "$DWI_KEPT_IN/$name.new" "$DWI_KEPT_IN/$name"
  fi
  for role in $DWI_READERS; do
    # Without hosts there may be none: the foundation creates it from the profile of secrets.
    if is_profile "$role" && [[ $(incus profile get "$role" "user.$name") != "$1" ]]; then store "$role" "$1"; fi
  done
}

# store PROFILE CONTENT
store() {
  local changed
  changed=$(incus profile show "$1" | with_content "$2") ||
    fail "the profile $1 of $DWI_PROJECT has no secret $name" "remedy: deploy the cluster"
  edit_profile "$1" <<<"$changed"
}

is_profile secrets || fail "there is no cluster $DWI_PROJECT" "remedy: deploy it"
content=$(incus profile get secrets "user.$name")
case $content in
  "") fail "the cluster $DWI_PROJECT has no secret $name" "remedy: deploy it" ;;
  *" next "*) phase=next ;;
  *" previous "*) phase=previous ;;
  *" former "*) phase=former ;;
  *) phase=steady ;;
esac
value=${content%% *} other=${content##* }

case ${1:-} in
  phase)
    publish "$content"
    printf '%s\n' "$phase"
    ;;
  advance)
    [[ $phase == "${3:?$usage}" ]] ||
      fail "$name is in phase $phase, not $3: is it being rotated by somebody else?" "nothing was changed"
    case $phase in
      steady) content="$value next $(generate_secret)" ;;
      next) content="$other previous $value" ;;
      previous) content="$value former $other" ;;
      former) content=$value ;;
    esac
    store secrets "$content"
    publish "$content"
    ;;
  put)
    content=$(cat)
    [[ $content =~ ^[A-Za-z0-9+/=]+$ ]] || fail "what was given for $name is not base64" "nothing was changed"
    store secrets "$content"
    publish "$content"
    ;;
  *) fail "$usage" ;;
esac
