#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A fresh container of Debian with systemd, made from packages alone: no registry of images is asked. What it was made of is
# kept in .cache/ for the next run.
set -eu
here="$(cd "$(dirname "$0")/../.." && pwd)"
image="$here/.cache/tuned_host"
packages=systemd,systemd-sysv,dbus,udev,python3,python3-apt,iproute2,procps,kmod,ethtool,chrony,irqbalance
packages=$packages,postgresql,postgresql-client,python3-venv,python3-pip,python3-boto3,python3-psycopg2
packages=$packages,dkms,gcc,make,linux-headers-amd64
# Of the host that its user data makes ready (tests/tuned_host/test_user_data.py): nothing, and what cloud-init needs. What
# its script installs is downloaded and not installed, since the host has no network.
bare_packages=systemd,systemd-sysv,dbus,cloud-init,iproute2
awaited="python3-venv python3-pip postgresql-client"
modules="boto3 psycopg2-binary"

# make_root DIRECTORY PACKAGES [OPTION...]: a file system of Debian 12, unless it is there and of the same.
make_root() {
  directory=$1 include=$2
  shift 2
  if [ "$(cat "$directory/packages" 2>/dev/null)" != "$include $*" ]; then
    rm -rf "$directory"
    mkdir -p "$directory"
    mmdebstrap --variant=minbase --mode=root --quiet --dpkgopt=force-unsafe-io --include="$include" \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' "$@" bookworm "$directory/root"
    echo "$include $*" >"$directory/packages"
  fi
}
make_root "$image" "$packages"
make_root "$here/.cache/bare_host" "$bare_packages" --skip=cleanup/apt \
  --customize-hook="chroot \"\$1\" apt-get install --yes --no-install-recommends --download-only -qq $awaited"
if [ ! -d "$here/.cache/bare_host/wheels" ]; then
  # shellcheck disable=SC2086  # a list of words
  "$here/.venv/bin/python" -m pip download --quiet --disable-pip-version-check --python-version 3.11 --only-binary :all: \
    --dest "$here/.cache/bare_host/wheels" $modules
fi
# An archive of the form that Amazon's has.
sources="$(mktemp -d)"
mkdir -p "$sources/ena_linux_2.17.0/kernel/linux"
cp -r "$here/tests/tuned_host/ena_stand_in" "$sources/ena_linux_2.17.0/kernel/linux/ena"
tar -C "$sources" -czf "$image/ena_linux_2.17.0.tar.gz" ena_linux_2.17.0
rm -r "$sources"

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
# Debian's headers stand where DKMS looks for those of the kernel that runs, which is this machine's. Nothing is loaded.
# shellcheck disable=SC2016  # the container's own words
inside sh -c 'mkdir -p "/lib/modules/$(uname -r)"; ln -s /usr/src/linux-headers-*-amd64 "/lib/modules/$(uname -r)/build"' </dev/null
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
