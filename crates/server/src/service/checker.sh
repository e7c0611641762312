# The manual command: fetches the checker, compares its digest, runs it, leaves nothing behind.
# Becomes one line: what starts with a hash sign is left out, the rest is joined by blanks. For any POSIX shell (dash, bash, busybox,
# zsh, ksh), also an interactive one with aliases: so commands have unusual names, and there is no exclamation mark.
(
sickbay_end() { echo "sickbay: $1" >&2; exit "$2"; };
sickbay_digest() { { sha256sum <"$1" || busybox sha256sum <"$1" || openssl dgst -sha256 -r <"$1" || shasum -a 256 <"$1"; } 2>/dev/null; };
sickbay_get() { { command -v curl >/dev/null && curl {CURL} --connect-timeout 20 -o "$f" "$1"; } || { command -v wget >/dev/null && wget {WGET} -t 2 -O "$f" "$1"; }; };
[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || sickbay_end "the checker runs on Linux on x86-64 only, this is $(uname -s) on $(uname -m)" 2;
[ "$(id -u)" = 0 ] || echo "sickbay: this is not root: what only root may see is left out" >&2;

# A directory from which programs may be run: a file of one harmless line is tried there.
d=;
trap 'rm -rf "$d"' EXIT;
trap 'exit 130' HUP INT TERM;
for p in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm /run "${HOME:-/root}" "$PWD"; do
d=$(mktemp -d "$p/sickbay.XXXXXX" 2>/dev/null) || continue;
echo : >"$d/try" && chmod 700 "$d/try" && { "$d/try"; } 2>/dev/null && break;
rm -rf "$d";
d=;
done;
[ "$d" ] || sickbay_end "no directory can be written to and lets programs run: set TMPDIR to one that does" 2;
f="$d/sickbay-agent";

# Carried here by hand, or fetched.
u='{URL}';
{PROXY};
case "$(sickbay_digest ./sickbay-agent)" in
{SHA256}*) cp ./sickbay-agent "$f" ;;
*)
if command -v curl >/dev/null || command -v wget >/dev/null; then
sickbay_get "$u" {OR_IN_THE_OPEN} ||
sickbay_end "$u cannot be fetched: fetch it elsewhere, put it here as ./sickbay-agent and run this command again" 6;
else
sickbay_end "there is neither curl nor wget: fetch $u elsewhere, put it here as ./sickbay-agent and run this command again" 2;
fi ;;
esac;
case "$(sickbay_digest "$f")" in
{SHA256}*) ;;
"") sickbay_end "there is none of sha256sum, busybox, openssl and shasum to compare the checker with: nothing was run" 2 ;;
*) sickbay_end "what was fetched is not the checker that this command was made for: nothing was run" 4 ;;
esac;

# By a pipe from a builtin: no process has the token among its arguments.
chmod 700 "$f";
echo {ARGUMENT} | "$f" check -b -;
r=$?;
case $r in 126 | 127) sickbay_end "the checker cannot be run here" 2 ;; esac;
exit $r
)
