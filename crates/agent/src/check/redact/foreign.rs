//! What a password is called in other languages than English.

/// In lower case. Those of one word in plain letters stand among the other names.
const WORDS: [&str; 22] = [
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "비밀번호",
    "암호",
    "пароль",
    "ключ доступа",
    "contraseña",
    "mot de passe",
    "palabra clave",
    "palavra-passe",
    "chiave segreta",
    "hasło",
    "lösenord",
    "jelszó",
    "şifre",
    "parolă",
    "κωδικός",
    "סיסמה",
    "كلمة المرور",
    "mật khẩu",
];

/// The length of such a word that begins the text, in bytes.
pub(super) fn begins(text: &str) -> Option<usize> {
    WORDS.iter().find_map(|it| length(text, it))
}

fn length(text: &str, word: &str) -> Option<usize> {
    let mut wanted = word.chars();
    let mut length = 0;
    for c in text.chars() {
        let Some(next) = wanted.next() else { break };
        if c != next && !c.to_lowercase().eq([next]) {
            return None;
        }
        length += c.len_utf8();
    }
    wanted.next().is_none().then_some(length)
}
