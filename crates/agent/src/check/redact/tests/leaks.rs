//! Secrets in every dress in which they were once seen to pass, or might be.

use super::super::{REDACTED, redact};

/// No text made from a template may hold the secret.
fn hides(templates: &[&str], secrets: &[&str]) {
    for template in templates {
        for secret in secrets {
            let text = template.replace("{}", secret);
            let (redacted, count) = redact(&text);
            assert!(!redacted.contains(secret), "{text:?} became {redacted:?}");
            assert!(count > 0 && redacted.contains(REDACTED), "{text:?}");
            // Once more, nothing is found.
            assert_eq!(redact(&redacted).0, redacted, "again");
        }
    }
}

const WORDS: [&str; 5] = [
    "hunter2",
    "p@ss,1;x",
    "a&b/c:d",
    "gehéim)9]!",
    "Tr0ub4dor\\3",
];

#[test]
fn a_block_of_yaml_goes_as_a_whole() {
    hides(
        &[
            "password: >-\n  {} line\nnext: 1\n",
            "password: |\n  {}\n",
            "password: |-\n  {}\n",
            "password: >\n  first\n\n  {}\nport: 1\n",
            "password: |2+ # note\n  {}\n",
            "password:\n  {}\n",
            "password:\n  - {}\n",
            "passwords:\n- first\n- {}\nother: 1\n",
            "db:\n  password:\n    {}\n  port: 3306\n",
            "- name: DB_PASSWORD\n  value: |\n    {}\n",
            "- password: >-\n    {}\n  user: bob\n",
            "secrets:\n  db: {}\n",
        ],
        &WORDS,
    );
    let (redacted, _) = redact("db:\n  password: |\n    one\n    two\n  port: 3306\nx: 1\n");
    assert_eq!(
        redacted,
        "db:\n  password: |\n    [redacted]\n  port: 3306\nx: 1\n"
    );
}

#[test]
fn a_word_for_a_secret_is_found_anywhere_in_a_name() {
    hides(
        &[
            "DB_PASS1={}",
            "password2={}",
            "PASSWORD_OLD={}",
            "SECRET_KEY_BASE={}",
            "SECRET_VALUE={}",
            "TOKEN_V2={}",
            "_auth={}",
            "psk={}",
            "wpa-psk: {}",
            "PresharedKey = {}",
            "userPasswordNew: {}",
            "spring.datasource.password={}",
            "aws.secretKey={}",
            "api_key_prod={}",
            "x-api-key: {}",
            "PGPASSWORD={} psql",
            "MYSQL_PWD={}",
            "bind_pw={}",
            "secret_id={}",
            "rootpw {}",
            "requirepass {}",
            "masterauth {}",
            "JSESSIONID={}",
            "connect.sid={}",
            "PHPSESSID={}",
            "password%3D{}",
            "url=%2Flogin%3Fpassword%3D{}",
            "password\\u003d{}",
            "password&#61;{}",
            "{\"log\":\"x\\npassword={}\"}",
            "storepass = {}",
        ],
        &["hunter2", "p@ss,1;x", "gehéim)9]!"],
    );
    hides(
        &["AUTH={}", "otp={}", "sessionid={}", "redis_auth: {}"],
        &["hunter2", "842193"],
    );
    hides(&["PASSWORD_HASH={}"], &["$6$salt$abcdefghijklmnop"]);
}

#[test]
fn the_value_of_a_pair_goes_with_the_name_of_its_other_half() {
    hides(
        &[
            r#"{"name":"password","value":"{}"}"#,
            r#"{"value":"{}","name":"password"}"#,
            r#"{"Key": "DB_PASSWORD", "Value": "{}"}"#,
            "env:\n- name: DB_PASSWORD\n  value: {}\n",
            "env:\n- name: DB_PASSWORD\n  value: \"{}\"\n- name: A\n  value: b\n",
            r#"<add key="Password" value="{}"/>"#,
            "<property><name>my.password</name>\n<value>{}</value></property>",
            r#"Environment="API_KEY={} baz" "B=1""#,
            "Environment=API_KEY={} FOO=1",
            r#"{"name":"user","value":"bob"},{"name":"token","value":"{}"}"#,
        ],
        &["hunter2", "p@ss,1;x"],
    );
    let text = r#"[{"name":"password","value":"hunter2"},{"name":"user","value":"bob"}]"#;
    assert_eq!(redact(text).0, text.replace("hunter2", REDACTED));
}

#[test]
fn lists_objects_and_tails_go_too() {
    hides(
        &[
            r#"{"password": ["{}","b"], "n": 1}"#,
            r#"{"password": ["b", "{}"]}"#,
            "{\"passwords\": [\n  \"b\",\n  \"{}\"\n]}",
            r#"{"secret": {"db": "{}"}}"#,
            "password: [b, '{}']",
            "password=a,{}",
            "password=a){}",
            "password=a;{}",
            "password=a&{}",
            "password=a\"{}",
            "\"API_KEY=bar {}\"",
            "{password=a{}, user=b}",
            "{user=b, password={}}",
            "password: Some(\"two {}\")",
            "password=\"\"{}\"\"",
            "password='it'\\''{}'",
            "<password type=\"plain\">{}</password>",
            "{\"password\":\n  \"{}\"}",
            "db.password = two {}\n",
            "DB_PASSWORD=two {}\n",
            "A=1\0DB_PASSWORD=two {}\0B=2",
            "password=${DB:-{}}",
        ],
        &["hunter2", "xy)z]9"],
    );
    let text = r#"{"password": ["hunter2","b"], "n": 1}"#;
    assert_eq!(redact(text).0, r#"{"password": [redacted], "n": 1}"#);
}

#[test]
fn logins_in_addresses_go() {
    hides(
        &[
            "redis://default:{}@h",
            "redis://:{}@h:6379/0",
            "postgres://bob:{}@db:5432/main?sslmode=require",
            "dsn=user:{}@tcp(10.0.0.1:3306)/db",
            "user:{}@unix(/run/mysqld.sock)/db",
            "jdbc:oracle:thin:scott/{}@//h:1521/x",
            "amqp://u:{}@a,amqp://u:x@b",
            "a https://u:{}@h/@scope/pkg b",
        ],
        &["hunter2", "p/ss", "p@ss", "a/b@c?d#e"],
    );
    hides(
        &[
            "https://hooks.slack.com/services/{}",
            "x hooks.slack.com/services/{}.",
        ],
        &["T00000000/B00000000/aBcDeFgHiJkLmNoPqRsTuVwX"],
    );
    hides(
        &["https://{}@github.example/x"],
        &["0123456789abcdef0123456789abcdef"],
    );
}

#[test]
fn every_known_shape_goes() {
    let secrets = [
        ["sk_", "live_4eC39HqLyjWDarjtT1zdp7dc"],
        [
            "SG",
            ".ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc",
        ],
        ["AIza", "SyDaGmWKa4JsXZHjGw7ISLn3namBGewQe"],
        ["hvs", ".CAESIJlWh1bGxvIHdvcmxkCAESIJlWh1"],
        ["npm_", "abcdefghijklmnopqrstuvwxyz0123456789"],
        ["xapp-", "1-A01234567-0123456789-abcdef"],
        ["xoxe-", "1-abcdefghijkl"],
        ["ghs_", "0123456789abcdefghij0123456789abcdef"],
        ["glpat-", "0123456789abcdefghij"],
        ["AKIA", "IOSFODNN7EXAMPLE"],
        ["ASIA", "IOSFODNN7EXAMPLE"],
        ["LTAI", "5tABCDEFGHIJKLMNOP"],
        ["STS.", "abcdefghijkmnpqrstuv"],
        ["SBT.", "q6m0kA8vXJ4tYzR2hLwPnB9cDfGsEuTi"],
        ["LS0tLS1CRUdJTi", "BSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlF+/x="],
        [
            "$6$",
            "rounds=5000$saltsalt$abcdefghijklmnopqrstuvwxyz./0123",
        ],
        ["$y$", "j9T$saltsalt$abcdefghijklmnopqrstuvwxyz./0123"],
        ["$5$", "saltsalt$abcdefghijklmnopqrstuvwxyz./0123"],
        ["$1$", "saltsalt$abcdefghijklmnopqrstuv"],
        ["$2b$", "12$abcdefghijklmnopqrstuvwxyz./0123456789"],
        [
            "eyJ",
            "tb2RlIjoxLCJqc3J2X2RvbWFpbiI6W10sImlzc3VlIjoib2Zm+/==",
        ],
        ["", "md5900150983cd24fb0d6963f7d28e17f72"],
    ]
    .map(|it| it.concat());
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    hides(
        &[
            "x {} y",
            "a={}",
            "\"k\": \"{}\"",
            "k:\t{}\n",
            "[{}]",
            "root:{}:19000:0",
        ],
        &secrets,
    );
}

#[test]
fn private_keys_of_every_make_go() {
    hides(
        &[
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{}\n-----END PGP PRIVATE KEY BLOCK-----\n",
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            "Private-Lines: 2\nAAAA\n{}\nPrivate-MAC: 00ff\n",
            "key: |\n  -----BEGIN RSA PRIVATE KEY-----\n  {}\n  -----END RSA PRIVATE KEY-----\n",
            "private_key=\"-----BEGIN RSA PRIVATE KEY-----\n{}",
            "password=-----BEGIN{}",
        ],
        &["MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn"],
    );
}

#[test]
fn flags_of_programs_go() {
    hides(
        &[
            "curl -sSu bob:{} https://a",
            "curl -ubob:{} https://a",
            "curl --user bob:{} https://a",
            "curl --user=bob:{} https://a",
            "curl -x p --proxy-user bob:{} https://a",
            "mysql -u root -p'{}' main",
            "/usr/bin/mysqldump -uphil -p{} main",
            "sshpass -p {} ssh h -p 22",
            "sshpass -p'{}' ssh h",
            "openssl enc -aes-256-cbc -k {} -in x",
            "openssl pkcs12 -passin pass:{} -nokeys",
            "ipmitool -H h -U admin -P {} chassis",
            "snmpwalk -v3 -A {} -X other h",
            "snmpwalk -v3 -A other -X {} h",
            "smbclient -U bob%{} //h/share",
            "kubectl create secret generic x --from-literal=k={} -n y",
            "kubectl create secret generic x --from-literal='k={}'",
            "kubectl create secret generic x --from-literal k={}",
            "./sickbay-agent check -b {}",
            "redis-cli -a {} ping",
            "app --db-password {} -v",
            "mysql\0-uroot\0-p{}\0main\0",
        ],
        &["hunter2", "p@ss,1"],
    );
    hides(&["mysql -u root -p'{}' main"], &["hunter 2"]);
}

#[test]
fn what_is_told_in_words_goes() {
    hides(
        &[
            "machine h login bob password {}",
            "machine h\n  login bob\n  password {}\n",
            "aws_secret_access_key {}",
            "the password is {}",
            "your password is {}, keep it",
            "password was {}.",
            "password set to {}",
            "ALTER USER x WITH PASSWORD '{}'",
            "CREATE USER x IDENTIFIED BY '{}'",
        ],
        &["hunter2", "wJalrXUtnFEMI/K7MDENG", "p@ssw0rd!x"],
    );
}

#[test]
fn random_values_go_under_any_name() {
    hides(
        &["x={}", "value: {}", "\"thing\": \"{}\"", "SICKBAY_X={}"],
        &[
            "q6m0kA8vXJ4tYzR2hLwPnB9cDfGsEuTi",
            "wJ4lrXUt9FEmI/K7MDx8G2bPzRfi4CYaEq2aPd7L",
            "Xk3-9dLw_Qz7PfTa2RbVn5YcHs8GmJu1",
        ],
    );
}

#[test]
fn what_has_no_name_is_known_by_its_line() {
    let hex = "0123456789abcdef".repeat(4);
    let hex = hex.as_str();
    hides(
        &[
            "{}",
            "key file:\n{}\n",
            "PSK agent7 = {}",
            "psk: x {}\n",
            "TLS PSK loaded: \"{}\"",
        ],
        &[hex],
    );
    hides(&["{}\n"], &[&*hex.repeat(2), &*hex.to_ascii_uppercase()]);
    hides(
        &[
            "db.example:5432:app:bob:{}",
            "*:*:*:bob:{}\n",
            "localhost:*:*:postgres:{}\n10.0.0.7:5432:app:app_rw:{}\n",
            "Nov 24 02:16:11 web-1 x[1]: wrote db:5432:app:bob:{}",
        ],
        &["hunter2", "p@ss,1;x", "a&b/c:d", "gehéim)9]!"],
    );
    hides(
        &["{}", "token {} rejected", "sent by bot {}", "notify[7]: {}"],
        &[
            "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0",
            "bot987654321:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc",
        ]
        .map(|it| it.split_once(':').unwrap().1)
        .map(|it| format!("123456789:{it}"))
        .each_ref()
        .map(String::as_str),
    );
    assert!(
        !redact("x bot987654321:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc")
            .0
            .contains("AAEh")
    );
}

#[test]
fn what_a_program_reads_or_a_sentence_tells_goes() {
    hides(
        &[
            "echo {} | sudo -S ls",
            "COMMAND=/bin/sh -c echo -n {} | sudo -kS systemctl restart x",
            "echo '{}' | /usr/bin/sudo -u root -S id",
            "echo {} | docker login --password-stdin registry.example",
            "printf {} | cryptsetup open /dev/sdb x",
            "login bob with password {} failed",
            "connecting using password {} as bob",
            "wrong password {} for bob",
        ],
        &["hunter2", "Tr0ub4dor"],
    );
}

#[test]
fn a_password_is_one_in_other_languages_too() {
    hides(
        &[
            "Kennwort: {}",
            "KENNWORT={}",
            "Passwort: {}",
            "密码: {}",
            "密码：{}",
            "数据库密码={}",
            "用户口令: {}",
            "パスワード: {}",
            "비밀번호: {}",
            "Пароль: {}",
            "Contraseña: {}",
            "contrasena={}",
            "Mot de passe : {}",
            "senha: {}",
            "Hasło: {}",
            "wachtwoord: {}",
            "Lösenord: {}",
            "{\"密码\": \"{}\"}",
        ],
        &["hunter2", "Tr0ub4dor3"],
    );
}

#[test]
fn texts_made_to_be_slow_are_not() {
    // Each would take minutes if what is behind every name were read to its end.
    for part in [
        "password=/etc/",
        "password=${",
        "password=[\n",
        "password='",
        "a://",
        "a://b:c@",
        "auth:\n ",
        "name=token ",
        "{\"value\":\"x\",\"name\":\"pw\"",
        "password=-----BEGIN",
        "a=b=",
        "x:y@(",
        "password is ",
        "'token=null ",
        "\"pw={[(",
        "token ",
        "password: \t",
        "-",
        "%3",
        "\\n",
    ] {
        let text = part.repeat(100_000 / part.len());
        let (redacted, _) = redact(&text);
        assert!(!redacted.is_empty());
    }
}
