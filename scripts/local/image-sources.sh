#!/usr/bin/env bash
# Completes the sources of apt that mmdebstrap made for the root file system of a host image, by its own default for
# the distribution or from a mirror. mmdebstrap runs it as a hook.
#
#   image-sources.sh ROOT DISTRIBUTION [KEYRING]
#
# KEYRING holds the keys of a distribution that is not the machine's own.

set -euo pipefail
list=$1/etc/apt/sources.list
distribution=$2
keyring=${3:-}

# add_option OPTION: to every source.
add_option() { sed -i -E "s|^deb +(\[([^]]*)\] +)?|deb [$1 \2] |; s| +\]|]|" "$list"; }

# mmdebstrap knows where a distribution is, but not which of this machine's keys are for it. The image has the same
# keys at the same path.
if [[ -n $keyring ]]; then
  add_option "signed-by=$keyring"
fi
# MySQL proper is in unstable alone; everything else comes from testing. A mirror's copy of unstable can be older
# than its stated validity, so that one date is not asked.
if [[ $distribution == debian ]]; then
  add_option check-valid-until=no
  unstable=$(sed -E -n 's|^(deb .*) testing (.*)$|\1 unstable \2|p' "$list")
  printf '%s\n' "$unstable" >>"$list"
fi
