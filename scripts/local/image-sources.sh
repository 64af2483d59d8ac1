#!/usr/bin/env bash
# Completes the apt sources that mmdebstrap has generated for the root file system of a host image. mmdebstrap runs it as
# a hook.
#
#   image-sources.sh ROOT DISTRIBUTION [KEYRING]
#
# KEYRING has the keys of a distribution other than the machine's own.

set -euo pipefail
list=$1/etc/apt/sources.list
distribution=$2
keyring=${3:-}

# add_option OPTION: adds an option to every source.
add_option() { sed -i -E "s|^deb +(\[([^]]*)\] +)?|deb [$1 \2] |; s| +\]|]|" "$list"; }

# mmdebstrap knows the mirrors of a distribution, but not which of this machine's keyrings is for it. In the image, the
# keyring has the same path.
if [[ -n $keyring ]]; then
  add_option "signed-by=$keyring"
fi
# Debian has MySQL only in unstable; everything else comes from testing. A mirror's index of unstable can be past its
# Valid-Until date, so that one date is not checked.
if [[ $distribution == debian ]]; then
  add_option check-valid-until=no
  unstable=$(sed -E -n 's|^(deb .*) testing (.*)$|\1 unstable \2|p' "$list")
  printf '%s\n' "$unstable" >>"$list"
fi
