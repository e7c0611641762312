//! Text that helps to find a fault and holds no secret stays byte for byte.

use super::super::redact;

fn stays(text: &str) {
    for line in text.lines() {
        assert_eq!(redact(line), (line.to_owned(), 0));
    }
    assert_eq!(redact(text), (text.to_owned(), 0));
}

#[test]
fn lines_of_logs() {
    stays(
        "Nov 24 02:16:11 web-1 sshd[812]: Failed password for invalid user x from 10.0.0.1 port 22 ssh2
Nov 24 02:16:11 web-1 sshd[812]: Accepted publickey for bob from 10.0.0.1 port 5 ssh2: ED25519 SHA256:9DZ1gKdRt3Wl0XqkS7uYv5eBnM2aHc8JfPzQ4iTxLoE
Nov 24 02:16:11 web-1 unix_chkpwd[33]: password check failed for user (root)
Nov 24 02:16:11 web-1 sudo: pam_unix(sudo:auth): authentication failure; logname= uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob
Nov 24 02:16:11 web-1 systemd[1]: Started Dispatch Password Requests to Console Directory Watch.
Nov 24 02:16:11 web-1 systemd[1]: systemd-ask-password-wall.path: Deactivated successfully.
Nov 24 02:16:11 web-1 dbus-daemon[5]: [session uid=0 pid=5] Activating via systemd: service name='org.freedesktop.secrets' unit='gnome-keyring.service'
Nov 24 02:16:11 web-1 kernel: Command line: BOOT_IMAGE=/vmlinuz-6.1.0-18-amd64 root=UUID=0b7c5a54-3c71-4ff3-9e0b-0f6d3d6a1a11 ro quiet
Nov 24 02:16:11 web-1 kernel: audit: type=1400 audit(1700000000.1:2): apparmor=\"STATUS\" operation=\"profile_load\" name=\"/usr/bin/man\" pid=5
Nov 24 02:16:11 web-1 dockerd[9]: pulled registry:5000/app@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
password authentication failed for user \"x\"
FATAL: password is incorrect
login failed: password mismatch; the token is expired
Password required
Access token expired, refreshing
Token has no scope; secret not found; credentials are missing
unexpected token '}' in JSON at position 7
prompt_tokens=812 tokens: 42, token_count=7, max_tokens: 4096 tokenizer=fast token_type=bearer
author=bob authority=ca secretary=eve compass=north passed=7 bypass=no monkey=1
TokenFilter: Filtering request
src/auth/token.rs:42:9: unused variable
access_key_id not set; token_endpoint=https://a/b password_file=/etc/x token_ttl=3600
auth: ok, auth=none auth_method=PLAIN session=5 sid=12
request_id=0DA1E5C2-77C1-4A0B-9C2D-3A61F2B0C1AA trace=4bf92f3577b34da6a3ce929d0e0e4736
digest=\"sha256-n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\"
error=ThisIsAVeryLongIdentifierWithManyWords2AndNumbers3
GET https://h:8443/x?mail=a@b.example 200; https://unpkg.example/react@18/x http://h:80/a@b
0b7c5a543c714ff39e0b0f6d3d6a1a11
2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae  file.tar.gz
root:x:0:0:root:/root:/bin/bash
www-data:x:33:
fe80:1234:5:abcd:ef01:2345:6789:abcd and aa:12:34:56:78:9a
1:2345:respawn:/sbin/getty 38400 tty1
  1234:20240301:120000.123 agent #3 started [collector]
echo hello | sudo tee /etc/motd; echo 1 | grep 1
login with password authentication; use of password sha512crypt is fine; using password for bob
密码错误 passwords are checked; пароль неверен
/usr/lib/x.so:123:4:warning:unused
mysql: [Warning] Using a password on the command line interface can be insecure.
cost $1 and $2 and $HOME and ${HOME}",
    );
}

#[test]
fn files_of_the_system() {
    stays(
        "MemTotal:       16316412 kB
MemFree:         1316412 kB
HugePages_Total:       0
model name\t: Intel(R) Xeon(R) Platinum 8369B CPU @ 2.70GHz
flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pku ospke
address sizes\t: 46 bits physical, 48 bits virtual
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
ramfs /run/credentials/systemd-sysusers.service ramfs ro,nosuid,nodev,noexec,relatime,mode=700 0 0
overlay / overlay rw,relatime,lowerdir=/var/lib/docker/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ:/var/lib/docker/overlay2/l/BCDEFGHIJKLMNOPQRSTUVWXYZA,upperdir=/var/lib/docker/overlay2/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/diff 0 0
//nas/x /mnt cifs rw,credentials=/etc/cifs.conf,uid=0 0 0
Linux version 6.1.0-18-amd64 (kernel@lists.example.org) (gcc-12 (Debian 12.2.0-14) 12.2.0)
SigQ:\t0/63432
CapEff:\t000001ffffffffff
PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"
HOME_URL=\"https://os.example.org/\"
VERSION_CODENAME=bookworm
nameserver 10.0.0.2
search svc.cluster.local cluster.local
options ndots:5 timeout:1
passwd:         files systemd
group:          files systemd
shadow:         files
PASS_MAX_DAYS   99999
PASS_MIN_LEN    8
PasswordAuthentication no
PermitEmptyPasswords no
AuthorizedKeysFile .ssh/authorized_keys
password requisite pam_pwquality.so retry=3
password [success=1 default=ignore] pam_unix.so obscure use_authtok yescrypt
auth required pam_env.so
root:x:0:0:root:/root:/bin/bash
root:*:19000:0:99999:7:::
ssl_certificate_key /etc/ssl/private/site.pem;
token: file:/run/token
password: ${DB_PASSWORD}
secret: env:APP_SECRET",
    );
}

#[test]
fn lists_of_processes_units_and_packages() {
    stays(
        "root         1  0.0  0.1 168372 12000 ?  Ss   Nov20   0:05 /sbin/init splash
root       612  0.0  0.0   5872  1024 tty1  Ss+  Nov20  0:00 /sbin/agetty -o -p -- \\u --noclear tty1 linux
root       700  0.0  0.2  15432  9000 ?  Ss   Nov20   0:00 sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups
root       800  0.3  1.2 999999 99999 ?  Ssl  Nov20   9:00 kube-apiserver --authorization-mode=Node,RBAC --enable-bootstrap-token-auth=true --token-auth-file=/etc/k8s/tokens.csv --tls-private-key-file=/etc/k8s/tls.key
root       900  0.0  0.2  15432  9000 ?  Sl   Nov20   0:00 docker run --name mysql -p 3306:3306 -d mysql:8
root       901  0.0  0.2  15432  9000 ?  Sl   Nov20   0:00 docker login --password-stdin registry.example
bob        902  0.0  0.2  15432  9000 ?  Sl   Nov20   0:00 psql --no-password main
bob        903  0.0  0.2  15432  9000 ?  Sl   Nov20   0:00 curl -XPUT -o out -b jar.txt -sSL https://a/b
bob        904  0.0  0.2  15432  9000 ?  Sl   Nov20   0:00 /usr/bin/gpg-agent --supervised --pinentry-program /usr/bin/pinentry
dbus       905  0.0  0.1   9000  4000 ?  Ss   Nov20   0:00 /usr/bin/dbus-daemon --system --address=systemd: --nofork
  systemd-ask-password-console.path   loaded active waiting   Dispatch Password Requests to Console
  sickbay-agent.service               loaded active running   Sickbay agent
ExecStart={ path=/usr/bin/sickbay-agent ; argv[]=/usr/bin/sickbay-agent run --config /etc/sickbay/agent.json ; ignore_errors=no ; pid=812 ; code=(null) ; status=0/0 }
InvocationID=0b7c5a543c714ff39e0b0f6d3d6a1a11
PassEnvironment=
PassCredentials=no
PassSecurity=no
KeyringMode=private
NotifyAccess=main
ImportCredential=passwd.hashed-password.root
LoadCredential=x:/run/keys/x
Documentation=man:systemd-tmpfiles(8)
ii  libsecret-1-0:amd64        0.20.5-3      amd64  Secret store
ii  passwd                     1:4.13+dfsg1  amd64  change and administer password and group data
ii  libpam-modules:amd64       1.5.2-6       amd64  Pluggable Authentication Modules
2026-11-24 02:16:11 status installed passwd:amd64 1:4.13+dfsg1-1
Install: libsecret-1-0:amd64 (0.20.5-3, automatic), passwd:amd64 (1:4.13)
python3-keyring-24.3-1.el9.noarch libsecret-0.20.4-4.el9.x86_64",
    );
}

#[test]
fn text_around_a_secret() {
    for (text, secret) in [
        (
            "auth:\n  type: oidc\n  client_secret: hunter2\n  issuer: https://a/b\n",
            "hunter2",
        ),
        ("db:\n  password:\n    hunter2\n  port: 3306\n", "hunter2"),
        ("GET /b?id=7&token=abc1&n=1 200 12ms", "abc1"),
        ("{\"user\":\"bob\",\"password\":12345,\"n\":1}", "12345"),
        ("a INFO token=abc1 user=bob took=5ms", "abc1"),
        (
            "<user>bob</user><password>abc1</password><port>1</port>",
            "abc1",
        ),
    ] {
        let expected = text.replace(secret, "[redacted]");
        assert_eq!(redact(text), (expected, 1));
    }
}
