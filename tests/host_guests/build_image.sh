#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# build_image.sh DIRECTORY: a disk with Debian 12, its full kernel and GRUB, made from packages alone, and a key for root.
#
# What it was made of stands beside it, so that the next run finds it made. Needs root: it mounts a loop device.
set -eu
image=$1
here="$(cd "$(dirname "$0")" && pwd)"
packages=systemd,systemd-sysv,dbus,udev,python3,python3-apt,iproute2,procps,kmod,ethtool,openssh-server,ca-certificates
packages=$packages,linux-image-amd64,grub-pc-bin,grub-pc,grub2-common,initramfs-tools,chrony,irqbalance
made_of="$(sha256sum <"$here/build_image.sh")"
if [ "$(cat "$image/made_of" 2>/dev/null)" = "$made_of" ]; then
  exit 0
fi

rm -rf "$image"
mkdir -p "$image/mount"
cd "$image"
ssh-keygen -q -t ed25519 -N '' -f key
# A small initial file system, which is all of it read by an emulated BIOS: what mounts the disk, and nothing else.
# shellcheck disable=SC2016  # mmdebstrap's own variable
early='mkdir -p "$1/etc/initramfs-tools/conf.d" && cd "$1/etc/initramfs-tools" && echo MODULES=list >conf.d/guest &&
  printf "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n" >modules'
mmdebstrap --variant=minbase --mode=root --quiet --dpkgopt=force-unsafe-io --include="$packages" --essential-hook="$early" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' bookworm root

install -d -m 700 root/root/.ssh
install -m 600 key.pub root/root/.ssh/authorized_keys
echo guest >root/etc/hostname
echo 'LABEL=rootfs / ext4 defaults,noatime 0 1' >root/etc/fstab
# The management interface alone asks for an address; which of the adapters is which, the machine type decides.
printf '[Match]\nMACAddress=52:54:00:00:00:01\n[Network]\nDHCP=yes\n' >root/etc/systemd/network/10-management.network
printf '[Match]\nMACAddress=52:54:00:00:00:02\n[Network]\nAddress=10.88.0.2/24\n' >root/etc/systemd/network/20-trading.network
printf '[Match]\nMACAddress=52:54:00:00:00:03\n[Network]\nAddress=10.88.1.2/24\n' >root/etc/systemd/network/30-clock.network
printf 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT=""\nGRUB_CMDLINE_LINUX="console=ttyS0"\n' >root/etc/default/grub
# On a busy machine minutes go by where a processor would take a second.
mkdir root/etc/systemd/system.conf.d
printf '[Manager]\nDefaultTimeoutStartSec=20min\nDefaultDeviceTimeoutSec=20min\n' >root/etc/systemd/system.conf.d/10-guest.conf
chroot root systemctl --quiet enable systemd-networkd ssh
chroot root systemctl --quiet disable systemd-networkd-wait-online irqbalance
# What a guest of an emulated processor would only wait for.
chroot root systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer

size=$((4 * 1024 * 1024 * 1024)) first=$((1024 * 1024))
truncate -s $size disk
printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk --quiet disk
mkfs.ext4 -q -F -b 4096 -L rootfs -E offset=$first -d root disk $(((size - first) / 4096))
whole='' part=''
cleanup() {
  for place in sys proc dev .; do umount "mount/$place" 2>/dev/null || true; done
  for device in $part $whole; do losetup --detach "$device"; done
}
trap cleanup EXIT
whole=$(losetup --find --show disk)
part=$(losetup --find --show --offset $first disk)
mount "$part" mount
for place in dev proc sys; do mount --bind /$place mount/$place; done
uuid=$(blkid -s UUID -o value "$part")
mkdir -p mount/boot/grub
cp -r mount/usr/lib/grub/i386-pc mount/boot/grub/
echo "(hd0) $whole" >mount/boot/grub/device.map
# shellcheck disable=SC2016  # GRUB's own variable
printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\n' "$uuid" >mount/boot/grub/load.cfg
chroot mount grub-mkimage --format i386-pc --output /boot/grub/i386-pc/core.img --prefix /boot/grub \
  --config /boot/grub/load.cfg biosdisk part_msdos ext2 search search_fs_uuid
chroot mount grub-bios-setup --directory /boot/grub/i386-pc --device-map /boot/grub/device.map --skip-fs-probe "$whole"
kernel=$(basename mount/boot/vmlinuz-*)
kernel=${kernel#vmlinuz-}
# The first boot's menu. The guest's own update-grub writes the next ones.
cat >mount/boot/grub/grub.cfg <<MENU
set timeout=0
search --no-floppy --fs-uuid --set=root $uuid
menuentry linux {
  linux /boot/vmlinuz-$kernel root=UUID=$uuid ro console=ttyS0
  initrd /boot/initrd.img-$kernel
}
MENU
cleanup
trap - EXIT
rm -rf root mount
echo "$made_of" >made_of
