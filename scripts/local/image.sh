#!/usr/bin/env bash
# Builds the image that all hosts are created from, unless one with the same inputs exists.
#
# Exits with 69 if the distribution's packages cannot be reached.
#
# Facts: DWI_PROJECT, the project that needs it; DWI_PACKAGES, the packages of hosts in addition to the base system;
# DWI_DISTRIBUTION, that of the hosts: machine (this machine's own), debian or ubuntu; DWI_SUITES, the release of each:
# "debian=testing ..."; DWI_KEYRINGS, the keys of each: "debian=FILE ..."; DWI_MIRROR, the package mirror, or empty for
# the default.

# shellcheck source=scripts/local/lib.sh
source "$(dirname -- "$0")/lib.sh"
become_root "$@"
use_project default

BASE_PACKAGES="systemd-sysv udev dbus cloud-init ca-certificates curl iproute2 iputils-ping jq mount nftables openssl procps python3"

for program in mmdebstrap zstd incus; do
  [[ -n $(command -v "$program") ]] ||
    fail "$program is not installed; it is needed to build the host image" "remedy: npm run up, which installs it"
done

# EX_UNAVAILABLE of sysexits.h.
UNREACHABLE=69

begin_work image
bash "$HERE/engine.sh" start
hold_lock image
distribution=$(host_distribution)
suite=$(host_suite)
alias=$(image_alias)

if exists incus image show "$alias"; then
  end_work
  say "host image $alias: exists"
  exit 0
fi

# For the machine's own distribution, its own keys and mirror are used; for another one, that one's keys and default mirror.
mirror=${DWI_MIRROR:-}
keyring=""
if [[ $distribution == "$(machine_distribution)" ]]; then
  mirror=${mirror:-$(machine_mirror)}
  [[ -n $mirror ]] || fail "this machine's apt sources have no package mirror for $(machine_codename)" \
    "remedy: set local.mirror in cluster.config.ts"
else
  keyring=$(value_of "$distribution" "$DWI_KEYRINGS")
  [[ -s $keyring ]] || fail "hosts are to run $distribution, but this machine does not have its keys: $keyring is missing" \
    "remedy: npm run setup -- $distribution"
  # mmdebstrap assumes that a release it does not know is Debian's.
  if [[ $distribution == ubuntu && -z $mirror ]] && ! grep -qs ",$suite," /usr/share/distro-info/ubuntu.csv; then
    fail "the package distro-info-data is not installed, or does not know Ubuntu's release $suite" \
      "remedy: npm run setup -- ubuntu, or upgrade it with apt-get, or set local.mirror in cluster.config.ts"
  fi
fi

# Without any source, mmdebstrap uses its own default.
sources=()
components=main
if [[ $distribution == ubuntu ]]; then components=main,universe; fi
if [[ -n $mirror ]]; then
  suites=("$suite")
  if [[ $distribution == ubuntu ]]; then suites+=("$suite-updates" "$suite-security"); fi
  for one in "${suites[@]}"; do
    sources+=("deb $mirror $one ${components//,/ }")
  done
fi

work=$(mktemp -d /var/tmp/dwi-image.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p /var/log/dwi
log=/var/log/dwi/image.log

# Logs mmdebstrap's output, and prints one line for each of its stages.
progress() {
  local line started=$SECONDS
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    case $line in
      "I: "*"apt-get update"*) line="reading the package lists" ;;
      "I: downloading packages"*) line="downloading packages" ;;
      "I: extracting archives"*) line="unpacking the base system" ;;
      "I: installing remaining packages"*) line="installing the hosts' packages" ;;
      "I: running --customize-hook"*) line="preparing it for containers" ;;
      "I: creating tarball"*) line="packing" ;;
      *) continue ;;
    esac
    say "  $((SECONDS - started)) s: $line"
  done
}

say "building the host image $alias ($distribution $suite), once; this takes about 90 s"
: >"$log"
packages=$(tr ' ' '\n' <<<"$BASE_PACKAGES $DWI_PACKAGES" | sed '/^$/d' | sort -u | paste -sd,)
# shellcheck disable=SC2016 # $1 is that of mmdebstrap's hook: the root
setup='
  mkdir -p "$1/etc/apt/preferences.d" "$1/usr/sbin"
  printf "Package: *\nPin: release a=unstable\nPin-Priority: 100\n" >"$1/etc/apt/preferences.d/unstable"
  printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
'
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(date +%s)
if ! {
  mmdebstrap --variant=apt --mode=root --format=tar \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Languages "none"' \
    --aptopt='Acquire::Retries "5"' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='force-unsafe-io' \
    --include="$packages" \
    --components="$components" \
    --skip=check/signed-by \
    --setup-hook="$setup" \
    --setup-hook="bash '$HERE/image-sources.sh' \"\$1\" '$distribution' '$keyring'" \
    --setup-hook="bash '$HERE/image-reach.sh' \"\$1\" '$work/unreachable'" \
    --customize-hook="bash '$HERE/image-customize.sh' \"\$1\"" \
    "$suite" - "${sources[@]}" 2> >(progress >&3) |
    zstd --quiet --fast=1 --threads=0 -o "$work/rootfs.tar.zst"
} 3>&1; then
  if [[ -s $work/unreachable ]]; then
    printf 'error: the packages of %s %s are not available: %s does not respond\n' \
      "$distribution" "$suite" "$(<"$work/unreachable")" >&2
    printf '  %s\n' "remedy: set local.mirror in cluster.config.ts to a mirror that this machine can reach" \
      "the whole log: $log" >&2
    end_work
    exit "$UNREACHABLE"
  fi
  tail -n 20 "$log" >&2
  fail "the host image could not be built" "the whole log: $log"
fi

# Templates that Incus renders into each container: its name, and the seed for cloud-init.
mkdir "$work/templates"
printf '{{ instance.name }}\n' >"$work/templates/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 {{ instance.name }}\n' >"$work/templates/hosts"
printf 'nameserver {{ config_get("user.nameserver", "127.0.0.1") }}\n' >"$work/templates/resolv.conf"
printf 'instance-id: {{ instance.name }}\nlocal-hostname: {{ instance.name }}\n' >"$work/templates/meta-data"
printf '{{ config_get("cloud-init.user-data", "") }}' >"$work/templates/user-data"
printf '#cloud-config\n{}\n' >"$work/templates/vendor-data"
# For systemd-networkd directly, not through cloud-init, so that the network is up before cloud-init has started. Link-local
# addresses would delay it by duplicate address detection.
cat >"$work/templates/network" <<'NETWORK'
[Match]
Name=eth0
[Network]
Address={{ config_get("user.address", "") }}
Gateway={{ config_get("user.gateway", "") }}
LinkLocalAddressing=no
IPv6AcceptRA=no
NETWORK
{
  printf 'architecture: %s\ncreation_date: %s\n' "$(uname -m)" "$SOURCE_DATE_EPOCH"
  printf 'properties:\n  description: %s\n  os: %s\n  release: %s\n' "$alias" "$distribution" "$suite"
  printf 'templates:\n'
  template() { printf '  %s:\n    when: [create, copy]\n    template: %s\n' "$1" "$2"; }
  template /etc/hostname hostname
  template /etc/hosts hosts
  template /etc/resolv.conf resolv.conf
  template /etc/systemd/network/10-eth0.network network
  for file in meta-data user-data vendor-data; do
    template "/var/lib/cloud/seed/nocloud/$file" "$file"
  done
} >"$work/metadata.yaml"
tar -C "$work" -czf "$work/metadata.tar.gz" metadata.yaml templates

say "  importing"
incus image import "$work/metadata.tar.gz" "$work/rootfs.tar.zst" --alias "$alias" >>"$log" 2>&1 || {
  tail -n 5 "$log" >&2
  fail "the host image could not be imported" "the whole log: $log"
}
end_work
say "host image $alias: built in $SECONDS s"
