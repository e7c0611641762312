# Makes the image of the laboratory's hosts: what Debian's packages add to this machine's own root, as a directory.
# $1 folder for the image, $2 folder with the packages.
set -e
folder=$1 packages=$2
mount --make-rprivate /
mkdir -p "$folder/upper" "$folder/work" "$folder/root"
root=$folder/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mkdir "$root/run/packages"
mount --bind "$packages" "$root/run/packages"
# Nothing is started while packages are set up.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
chroot "$root" env -i DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec '
    dpkg --install --force-confnew /run/packages/*.deb
    useradd --create-home ada
    # Whatever the machine was used for says nothing about its hosts.
    rm -rf /var/log/journal /var/lib/sickbay* /etc/sickbay /etc/ld.so.preload
'
rm "$root/usr/sbin/policy-rc.d"
