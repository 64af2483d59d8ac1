#!/usr/bin/env bash
# Prepares a new root file system to boot quickly in a container. mmdebstrap runs it as a hook.
#
#   image-customize.sh ROOT

set -euo pipefail
root=$1

# Left by the build.
rm -f "$root/usr/sbin/policy-rc.d"
# Each host generates its own machine ID at first boot.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
# Removes the data directory that the server's package has initialised: all hosts would have the same server UUID.
rm -rf "$root"/var/lib/mysql/*
# Adds an empty data directory without a server UUID for hosts to copy: initialising one takes seconds.
install -D --mode=0755 "$(dirname -- "$0")/../database/initialise.sh" "$root/tmp/initialise.sh"
chroot "$root" install --directory --owner=mysql --group=mysql --mode=0750 /var/lib/cluster/empty-server
chroot "$root" /tmp/initialise.sh /var/lib/cluster/empty-server
rm -f "$root/tmp/initialise.sh"
rm -rf "$root"/etc/ssl/private/ssl-cert-snakeoil.key
rm -rf "$root"/var/log/*.log "$root"/var/log/apt "$root"/var/log/mysql/* "$root"/var/cache/debconf/*-old
rm -f "$root/etc/resolv.conf"
mkdir -p "$root/var/lib/cloud/seed/nocloud"

# Packages enable their services, but a host must only start those that its role configures.
for unit in "$root"/etc/systemd/system/multi-user.target.wants/*.service; do
  case ${unit##*/} in
    systemd-networkd.service | cloud-* | dbus.service) ;;
    *) rm -f "$unit" ;;
  esac
done
systemctl --root="$root" enable systemd-networkd.service >/dev/null 2>&1

# Units that do not work in a container, or that slow down the boot without a benefit for a cluster host.
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

# The engine sets a host's name and address (see image.sh), and no accounts are created. So cloud-init only writes files
# and runs commands.
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
