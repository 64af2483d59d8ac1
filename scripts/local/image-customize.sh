#!/usr/bin/env bash
# Turns a fresh root file system into one that boots fast as a container. mmdebstrap runs it with
# the root file system's path.

set -euo pipefail
root=$1

# Left by the build.
rm -f "$root/usr/sbin/policy-rc.d"
# Each host makes its own identity at first boot.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
# The server's package initialises a data directory: its clones would all be the same server.
rm -rf "$root"/var/lib/mysql/*
# An empty server without an identity, to be copied: making one takes a host seconds.
install -D --mode=0755 "$(dirname -- "$0")/../database/initialise.sh" "$root/tmp/initialise.sh"
chroot "$root" install --directory --owner=mysql --group=mysql --mode=0750 /var/lib/cluster/empty-server
chroot "$root" /tmp/initialise.sh /var/lib/cluster/empty-server
rm -f "$root/tmp/initialise.sh"
rm -rf "$root"/etc/ssl/private/ssl-cert-snakeoil.key
rm -rf "$root"/var/log/*.log "$root"/var/log/apt "$root"/var/log/mysql/* "$root"/var/cache/debconf/*-old
rm -f "$root/etc/resolv.conf"
mkdir -p "$root/var/lib/cloud/seed/nocloud"

# Packages enable their services; a host starts the one its role configures, no other.
for unit in "$root"/etc/systemd/system/multi-user.target.wants/*.service; do
  case ${unit##*/} in
    systemd-networkd.service | cloud-* | dbus.service) ;;
    *) rm -f "$unit" ;;
  esac
done
systemctl --root="$root" enable systemd-networkd.service >/dev/null 2>&1

# Makes no sense in a container, or costs start time and does nothing for a cluster host.
systemctl --root="$root" mask \
  console-getty.service getty@tty1.service getty-static.service \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer man-db.timer logrotate.timer \
  cloud-init-hotplugd.socket ldconfig.service systemd-hwdb-update.service \
  systemd-journal-catalog-update.service systemd-update-done.service \
  systemd-pstore.service systemd-udev-settle.service systemd-rfkill.socket \
  tmp.mount dev-mqueue.mount systemd-timesyncd.service systemd-firstboot.service systemd-remount-fs.service \
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount \
  systemd-binfmt.service proc-sys-fs-binfmt_misc.automount >/dev/null 2>&1

# The engine gives a host its name and address (see image.sh) and nobody an account on it, so of
# cloud-init only writing files and running commands is left.
cat >"$root/etc/cloud/cloud.cfg.d/99-container.cfg" <<'CONFIGURATION'
datasource_list: [NoCloud]
datasource:
  NoCloud:
    fs_label: null
network: { config: disabled }
preserve_hostname: true
users: []
cloud_init_modules: [bootcmd, write_files]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts_user]
CONFIGURATION
