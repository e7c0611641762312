# Words for the scripts of the laboratory.
wait_for() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ]; then
            echo "waited in vain: $*" >&2
            return 1
        fi
        sleep 0.1
    done
}
has_systemd() { [ -d /run/systemd/system ]; }
main_pid() {
    if has_systemd; then
        systemctl show --property=MainPID --value "$UNIT"
    else
        pgrep --oldest --full "$PROGRAM"
    fi
}
is_down() { ! systemctl is-active --quiet "$UNIT"; }
is_failed() { systemctl is-failed --quiet "$UNIT"; }
has_restarted() { [ "$(systemctl show --property=NRestarts --value "$UNIT")" -ge "${1:-1}" ]; }
# Down for good, or on the way up again for the nth time.
crashes() { is_failed || has_restarted "${1:-3}"; }
listens() { ss --listening --tcp --numeric --no-header | grep -q ":$1 "; }
is_free() { ! listens "$1"; }
restart() { timeout 20 systemctl restart "$UNIT" || true; }
# Adds these lines to the unit.
drop_in() {
    mkdir -p "/etc/systemd/system/$UNIT.d"
    printf '%s\n' "$@" >"/etc/systemd/system/$UNIT.d/lab.conf"
    systemctl daemon-reload
}
# A small file system of its own for a directory, with what lies there.
small() {
    mkdir -p /run/small
    mount -t tmpfs -o "$2,mode=$(stat -c %a "$1")" small /run/small
    chown --reference="$1" /run/small
    cp --archive "$1/." /run/small/
    mount --move /run/small "$1"
}
# Leaves no room, to the last byte.
fill() {
    dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null || true
    dd if=/dev/zero of="$1/filler" bs=1 count=65536 oflag=append conv=notrunc 2>/dev/null || true
}
fill_inodes() {
    number=0
    while touch "$1/$number" 2>/dev/null; do number=$((number + 1)); done
}
# Mounts what never answers, as a file server does that is gone.
dead_disk() {
    mount='exec 3<>/dev/fuse
        mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead "$0"
        exec sleep 3600'
    systemd-run --quiet --unit=dead-disk sh -c "$mount" "$1"
    wait_for grep -q " $1 fuse" /proc/mounts
}
# Listens where the agent wants to.
take_port() {
    wait_for is_free "$1"
    setsid systemd-socket-activate --listen="$1" /bin/cat >/dev/null 2>&1 </dev/null &
    wait_for listens "$1"
}
# All programs but those linked statically are told another time, by so much: '-3600s', '+20d'.
tell_time() {
    if ldd /usr/lib/sickbay-lab/check 2>&1 | grep -q -e 'statically' -e 'not a dynamic'; then
        echo "the check is linked statically, and not to be deceived: cargo build -p sickbay -p agent" >&2
        return 1
    fi
    echo "$1" >/etc/faketimerc
    echo /usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1 >/etc/ld.so.preload
}
