//! Names that announce a secret.

/// Ends of names, in lower case, without `_`, `-` and `.`.
const ENDS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "authkey",
    "masterkey",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "installcode",
    "xamzsignature",
    "passcode",
];

/// Names that are a secret only as a whole.
const WHOLE: [&str; 3] = ["pass", "signature", "sig"];

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 80;
/// Programs and the flag with which they are given a password.
const FLAGS: [(&str, &str); 10] = [
    ("mysql", "-p"),
    ("mysqldump", "-p"),
    ("mysqladmin", "-p"),
    ("mariadb", "-p"),
    ("sshpass", "-p"),
    ("login", "-p"),
    ("redis-cli", "-a"),
    ("ldapsearch", "-w"),
    ("curl", "-u"),
    ("sickbay-agent", "-b"),
];

/// Whether a value that follows this name is a secret.
pub(super) fn is_secret(word: &str) -> bool {
    // The working directory, in the environment of every shell; and what is too long for a name.
    if matches!(word, "PWD" | "OLDPWD") || word.len() > NAME_BYTES_MAX {
        return false;
    }
    let plain: String = word
        .bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|it| char::from(it.to_ascii_lowercase()))
        .collect();
    let last = word.rsplit(['_', '-', '.']).next().unwrap_or_default();
    ENDS.iter().any(|it| plain.ends_with(it))
        || WHOLE.contains(&plain.as_str())
        || last.eq_ignore_ascii_case("pass")
}

/// Whether the value is a whole line, as in HTTP.
pub(super) fn is_header(word: &str) -> bool {
    let headers = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
    ];
    headers.iter().any(|it| word.eq_ignore_ascii_case(it))
}

/// The flag that bears a password on the command line of this program.
pub(super) fn password_flag(word: &str) -> Option<&'static str> {
    FLAGS
        .iter()
        .find(|(program, _)| *program == word)
        .map(|(_, flag)| *flag)
}
