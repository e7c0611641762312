//! Reads what `iptables-save` and `ip6tables-save` print.

use super::{Chain, Conditions, Hook, Packet, Rule, Verdict, is_narrow};

/// Tables that can stop a packet.
const TABLES: [&str; 4] = ["raw", "mangle", "filter", "security"];
/// Options of targets, and of matches that always hold; each with one value.
const IDLE_OPTIONS: [&str; 4] = ["--reject-with", "--comment", "--log-prefix", "--log-level"];

/// The chains, with every rule as that packet sees it.
pub(super) fn parse(text: &str, packet: Packet<'_>) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if let Some(declared) = line.strip_prefix(':').filter(|_| is_of_interest(&table)) {
            let mut words = declared.split_whitespace();
            let (name, policy) = (words.next().unwrap_or_default(), words.next());
            let hook = match name {
                "INPUT" => Some(Hook::Input),
                "OUTPUT" => Some(Hook::Output),
                _ => None,
            };
            chains.push(Chain {
                key: (table.clone(), name.to_owned()),
                base: hook.map(|it| (it, policy == Some("DROP"))),
                rules: Vec::new(),
            });
        } else if is_of_interest(&table) {
            // With -c, packet counters come first.
            let rule = match line.strip_prefix('[') {
                Some(rest) => rest.split_once(']').map_or("", |(_, rule)| rule.trim()),
                None => line,
            };
            let Some((name, rule)) = rule.strip_prefix("-A ").and_then(|it| it.split_once(' '))
            else {
                continue;
            };
            let owner = chains
                .iter_mut()
                .find(|it| it.key.0 == table && it.key.1 == name);
            if let Some(chain) = owner {
                chain.rules.push(parse_rule(rule, packet));
            }
        }
    }
    chains
}

fn is_of_interest(table: &str) -> bool {
    TABLES.contains(&table)
}

/// Words; what stands in quotation marks is one.
fn words(rule: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in rule.chars() {
        match c {
            _ if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

fn parse_rule(text: &str, packet: Packet<'_>) -> Rule {
    let words = words(text);
    let mut words = words.iter().map(String::as_str).peekable();
    let mut conditions = Conditions::default();
    let mut verdict = None;
    let mut negated = false;
    while let Some(word) = words.next() {
        let negates = std::mem::take(&mut negated);
        let turned = |holds: Option<bool>| holds.map(|it| it != negates);
        match word {
            "!" => negated = true,
            "-j" | "-g" => {
                let target = words.next().unwrap_or_default();
                verdict = target_of(target, word == "-j");
            }
            "-m" => {
                words.next();
            }
            word if IDLE_OPTIONS.contains(&word) => {
                words.next();
            }
            "-s" | "-d" => {
                let net = words.next().unwrap_or_default();
                let holds = match packet.is_servers(word == "-s") {
                    true => packet.is_within(net),
                    false => None,
                };
                conditions.add_pointed(turned(holds), is_narrow(net) && !negates);
            }
            "-p" => {
                let named = words.next().unwrap_or_default();
                conditions.add(turned(Some(named == packet.transport() || named == "all")));
            }
            "-i" | "-o" => {
                let name = words.next().unwrap_or_default();
                conditions.add(turned(packet.goes_through(name, word == "-o", '+')));
            }
            "--sport" | "--dport" | "--sports" | "--dports" | "--ports" => {
                let list = words.next().unwrap_or_default();
                let is_servers = word == "--ports" || packet.is_servers(word.starts_with("--s"));
                let holds = is_servers.then(|| has_port(list, packet));
                let is_single = !list.contains(':');
                conditions.add_pointed(turned(holds), is_single && !negates);
            }
            "--state" | "--ctstate" => {
                let list = words.next().unwrap_or_default();
                conditions.add(turned(Some(packet.is_in_state(list.split(',')))));
            }
            "--uid-owner" => {
                let user = words.next().unwrap_or_default().parse();
                conditions.add(turned(user.ok().map(|it| packet.is_of_user(it))));
            }
            "--syn" => conditions.add(turned(Some(packet.is_output()))),
            "--dst-type" | "--src-type" if words.peek() == Some(&"LOCAL") => {
                words.next();
                let is_local = packet.is_output() == (word == "--src-type");
                conditions.add(turned(Some(is_local)));
            }
            _ => {
                conditions.add(None);
                while words
                    .next_if(|it| !it.starts_with('-') && *it != "!")
                    .is_some()
                {}
            }
        }
    }
    Rule {
        fits: conditions.fits(),
        is_pointed: conditions.is_pointed,
        verdict,
        text: text.to_owned(),
    }
}

/// What a target means; `None`: the packet goes on.
fn target_of(target: &str, returns: bool) -> Option<Verdict> {
    Some(match target {
        "ACCEPT" => Verdict::Accept,
        "DROP" => Verdict::Drop,
        "REJECT" => Verdict::Reject,
        "RETURN" => Verdict::Return,
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "AUDIT" | "TRACE" | "CT" | "TCPMSS" | "DSCP"
        | "TOS" | "CLASSIFY" | "SECMARK" | "CONNSECMARK" | "SET" | "TTL" | "HL" => return None,
        chain => Verdict::Call {
            chain: chain.to_owned(),
            returns,
        },
    })
}

/// `80,443,8000:9000`.
fn has_port(list: &str, packet: Packet<'_>) -> bool {
    list.split(',').any(|it| {
        let (low, high) = it.split_once(':').unwrap_or((it, it));
        let number = |text: &str, absent: u64| match text {
            "" => Some(absent),
            text => text.parse().ok(),
        };
        let bounds = number(low, 0).zip(number(high, 65_535));
        bounds.is_some_and(|(low, high)| packet.is_port_within(low, high))
    })
}
