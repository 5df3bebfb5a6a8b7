#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A fresh container of Debian with systemd, made from packages alone: no registry of images is asked. What it was made of is
# kept in .cache/ for the next run.
set -eu
here="$(cd "$(dirname "$0")/../.." && pwd)"
image="$here/.cache/tuned_host"
packages=systemd,systemd-sysv,dbus,udev,python3,python3-apt,iproute2,procps,kmod,ethtool,chrony,irqbalance
packages=$packages,postgresql,postgresql-client,python3-venv,python3-pip,python3-boto3,python3-psycopg2

if [ "$(cat "$image/packages" 2>/dev/null)" != "$packages" ]; then
  rm -rf "$image"
  mkdir -p "$image"
  mmdebstrap --variant=minbase --mode=root --quiet --dpkgopt=force-unsafe-io --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$image/root"
  echo "$packages" >"$image/packages"
fi

podman rm --force --time=0 ironbook-tuned-host >/dev/null 2>&1 || true
podman run --detach --name ironbook-tuned-host --systemd=always --network=none --rootfs "$image/root:O" /sbin/init >/dev/null

inside() {
  podman exec --interactive ironbook-tuned-host "$@"
}
# Ansible enters it by its first process, which takes a tenth of the time of an exec.
podman inspect --format '{{.State.Pid}}' ironbook-tuned-host >"$here/.cache/tuned_host/pid"
inside timeout 60 sh -c 'until systemctl is-system-running --wait >/dev/null 2>&1; do sleep 0.2; done' </dev/null
# A container may not set the clock: chronyd runs without doing so, which its unit does not provide for.
inside sh -c 'mkdir -p /etc/systemd/system/chrony.service.d
printf "[Unit]\nConditionCapability=\n[Service]\nEnvironment=DAEMON_OPTS=\"-F 0 -x\"\nEnvironmentFile=\n" \
  >/etc/systemd/system/chrony.service.d/container.conf; systemctl daemon-reload' </dev/null
# The database of the host's first service.
inside runuser -u postgres -- createdb trading </dev/null
# No boot loader is in a container: this stands in for GRUB's own, sources the same files, and counts its runs.
inside sh -c 'mkdir -p /boot/grub; echo "GRUB_CMDLINE_LINUX_DEFAULT=quiet" >/etc/default/grub
cat >/usr/sbin/update-grub; chmod 755 /usr/sbin/update-grub; update-grub; rm /var/log/update-grub' <<'PROGRAM'
#!/bin/sh
set -eu
for file in /etc/default/grub /etc/default/grub.d/*.cfg; do
  test ! -e "$file" || . "$file"
done
printf 'menuentry Debian {\n  linux /vmlinuz root=UUID=1 ro %s\n}\n' "$GRUB_CMDLINE_LINUX_DEFAULT" >/boot/grub/grub.cfg
echo made >>/var/log/update-grub
PROGRAM
# Notes what is in the files that the roles touch, and says later how they differ from that.
inside sh -c 'cat >/usr/local/sbin/files-of-the-host; chmod 755 /usr/local/sbin/files-of-the-host' <<'PROGRAM'
#!/bin/sh
list() {
  find /etc /usr/local /var/lib/ironbook -type f ! -name '*.pyc' -exec md5sum {} + 2>/dev/null | sort -k2
  find /etc /usr/local /var/lib/ironbook -type l -printf '%p -> %l\n' -o -type d -print 2>/dev/null | sort
}
if [ "$1" = --note ]; then list >/var/tmp/before; else list | diff /var/tmp/before -; fi
PROGRAM
