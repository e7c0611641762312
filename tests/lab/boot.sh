# Boots one host of the laboratory: run as the first process of its namespaces, it ends in the host's init.
# $1 the host's folder, $2 the image, $3 its name, $4 its number, $5 `systemd` or `plain`; CGROUPS are hierarchies as `NAME=OPTIONS`.
set -e
folder=$1 image=$2 name=$3 number=$4 init=$5
mount --make-rprivate /
mkdir -p "$folder"
mount -t tmpfs -o size=1g,nr_inodes=200k,mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
root=$folder/root
mount -t overlay overlay -o "lowerdir=$image:/,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o size=256m tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty fuse; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t sysfs -o ro sysfs "$root/sys"
case $CGROUPS in
unified=*) mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" ;;
*)
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    for group in $CGROUPS; do
        mkdir "$root/sys/fs/cgroup/${group%%=*}"
        if [ "${group#*=}" = cgroup2 ]; then
            mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/${group%%=*}"
        else
            mount -t cgroup -o "${group#*=}" cgroup "$root/sys/fs/cgroup/${group%%=*}"
        fi
    done
    ;;
esac
echo "$name" >"$root/etc/hostname"
hostname "$name"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
rm -rf "$root"/etc/systemd/system/*.wants
echo 'nameserver 10.77.0.53' >"$root/etc/resolv.conf"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$root/etc/hosts"
# Its end of the cable comes from outside.
until [ -e /sys/class/net/eth0 ]; do sleep 0.02; done
ip link set lo up
ip addr add "10.77.$number.2/24" dev eth0
ip link set eth0 up
ip route add default via "10.77.$number.1"
cd "$root"
mkdir run/before
pivot_root . run/before
umount -l /run/before
rmdir /run/before
# What a host could do to the machine below it.
privileges=-sys_time,-sys_boot,-sys_module,-sys_rawio
if [ "$init" = systemd ]; then
    set -- /lib/systemd/systemd --unit=multi-user.target
else
    # Takes up orphans, as the init of a container does.
    set -- /bin/sh -c 'while :; do sleep 3600 & wait; done'
fi
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set "$privileges" --inh-caps "$privileges" "$@" </dev/null
