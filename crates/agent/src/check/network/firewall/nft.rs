//! Reads what `nft -j list ruleset` prints (libnftables-json(5)).

use serde_json::Value;

use super::{Chain, Conditions, Hook, Packet, Rule, Verdict, is_narrow};

/// Types of chains that can stop a packet.
const CHAIN_TYPE: &str = "filter";

/// The chains by priority, with every rule as that packet sees it.
pub(super) fn parse(text: &str, packet: Packet<'_>) -> Vec<Chain> {
    let Ok(printed) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    let none = Vec::new();
    let objects = printed
        .get("nftables")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    let sets: Vec<&Value> = objects.iter().filter_map(|it| it.get("set")).collect();
    let mut chains: Vec<(i64, Chain)> = Vec::new();
    for object in objects {
        if let Some(it) = object.get("chain").filter(|it| concerns(it, packet)) {
            let hook = match word(it, "hook") {
                "input" => Some(Hook::Input),
                "output" => Some(Hook::Output),
                _ => None,
            };
            let base = hook.filter(|_| word(it, "type") == CHAIN_TYPE);
            chains.push((
                it.get("prio").and_then(Value::as_i64).unwrap_or(0),
                Chain {
                    key: (table_of(it), word(it, "name").to_owned()),
                    base: base.map(|hook| (hook, word(it, "policy") == "drop")),
                    rules: Vec::new(),
                },
            ));
        } else if let Some(it) = object.get("rule") {
            let key = (table_of(it), word(it, "chain").to_owned());
            if let Some((_, chain)) = chains.iter_mut().find(|(_, it)| it.key == key) {
                chain.rules.push(
                    Reader {
                        packet,
                        sets: &sets,
                        rule: it,
                    }
                    .read(),
                );
            }
        }
    }
    chains.sort_by_key(|(priority, _)| *priority);
    chains.into_iter().map(|(_, it)| it).collect()
}

fn word<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn table_of(object: &Value) -> String {
    format!("{} {}", word(object, "family"), word(object, "table"))
}

/// Whether packets of that kind come through tables of that family.
fn concerns(object: &Value, packet: Packet<'_>) -> bool {
    match word(object, "family") {
        "inet" => true,
        "ip" => packet.flow.to.is_ipv4(),
        "ip6" => packet.flow.to.is_ipv6(),
        _ => false,
    }
}

struct Reader<'a> {
    packet: Packet<'a>,
    sets: &'a [&'a Value],
    rule: &'a Value,
}

impl Reader<'_> {
    fn read(&self) -> Rule {
        let none = Vec::new();
        let parts = self
            .rule
            .get("expr")
            .and_then(Value::as_array)
            .unwrap_or(&none);
        let mut conditions = Conditions::default();
        let mut verdict = None;
        let pairs = parts.iter().filter_map(Value::as_object).flatten();
        for (kind, told) in pairs {
            match kind.as_str() {
                "match" => self.condition(told, &mut conditions),
                "accept" => verdict = Some(Verdict::Accept),
                "drop" => verdict = Some(Verdict::Drop),
                "reject" => verdict = Some(Verdict::Reject),
                "return" => verdict = Some(Verdict::Return),
                "jump" | "goto" => {
                    let chain = word(told, "target").to_owned();
                    verdict = Some(Verdict::Call {
                        chain,
                        returns: kind == "jump",
                    });
                }
                "xt" if word(told, "name") == "REJECT" => verdict = Some(Verdict::Reject),
                "xt" if word(told, "name") == "comment" => {}
                "counter" | "log" | "notrack" | "mangle" | "meta" | "ct" => {}
                "vmap" => {
                    // It may do anything to anything.
                    conditions.add(None);
                    verdict = Some(Verdict::Accept);
                }
                _ => conditions.add(None),
            }
        }
        Rule {
            fits: conditions.fits(),
            is_pointed: conditions.is_pointed,
            verdict,
            text: describe(parts),
        }
    }

    fn condition(&self, told: &Value, conditions: &mut Conditions) {
        let negates = match word(told, "op") {
            "==" | "in" => false,
            "!=" => true,
            _ => return conditions.add(None),
        };
        let (Some(left), Some(right)) = (told.get("left"), told.get("right")) else {
            return conditions.add(None);
        };
        let turned = |holds: Option<bool>| holds.map(|it| it != negates);
        let packet = self.packet;
        if let Some(it) = left.get("payload") {
            let (protocol, field) = (word(it, "protocol"), word(it, "field"));
            match (protocol, field) {
                ("ip" | "ip6", "saddr" | "daddr") => {
                    if (protocol == "ip") != packet.flow.to.is_ipv4() {
                        return conditions.add(Some(false));
                    }
                    let is_servers = packet.is_servers(field == "saddr");
                    let holds = is_servers.then(|| self.any(right, &|it| self.address(it)));
                    let is_one = !negates && self.is_narrow(right);
                    conditions.add_pointed(turned(holds.flatten()), is_one);
                }
                ("tcp" | "udp" | "th", "sport" | "dport") => {
                    if protocol != "th" && protocol != packet.transport() {
                        return conditions.add(Some(false));
                    }
                    let is_servers = packet.is_servers(field == "sport");
                    let holds = is_servers.then(|| self.any(right, &|it| self.port(it)));
                    let is_one = !negates && right.get("range").is_none();
                    conditions.add_pointed(turned(holds.flatten()), is_one);
                }
                ("ip", "protocol") | ("ip6", "nexthdr") => {
                    conditions.add(turned(self.any(right, &|it| self.transport(it))));
                }
                _ => conditions.add(None),
            }
        } else if let Some(it) = left.get("meta") {
            let holds = match word(it, "key") {
                "l4proto" => self.any(right, &|it| self.transport(it)),
                key @ ("oif" | "oifname" | "iif" | "iifname") => self.any(right, &|it| {
                    packet.goes_through(it.as_str()?, key.starts_with('o'), '*')
                }),
                "nfproto" => self.any(right, &|it| {
                    Some((it.as_str()? == "ipv4") == packet.flow.to.is_ipv4())
                }),
                "skuid" => self.any(right, &|it| Some(packet.is_of_user(it.as_u64()?))),
                _ => None,
            };
            conditions.add(turned(holds));
        } else if left.get("ct").is_some_and(|it| word(it, "key") == "state") {
            let state = |it: &Value| Some(packet.is_in_state(it.as_str().into_iter()));
            conditions.add(turned(self.any(right, &state)));
        } else {
            conditions.add(None);
        }
    }

    /// Whether one of the values holds: a single one, a list, a set, or the name of a set.
    fn any(&self, right: &Value, holds: &dyn Fn(&Value) -> Option<bool>) -> Option<bool> {
        let named = right.as_str().and_then(|it| it.strip_prefix('@'));
        let list = match named {
            Some(name) => {
                let its =
                    |it: &&&Value| word(it, "name") == name && table_of(it) == table_of(self.rule);
                let set = self.sets.iter().find(its)?;
                set.get("elem")?.as_array()
            }
            None => right.get("set").unwrap_or(right).as_array(),
        };
        let Some(list) = list else {
            return holds(right.get("set").unwrap_or(right));
        };
        let all: Vec<Option<bool>> = list
            .iter()
            .map(|it| holds(it.pointer("/elem/val").unwrap_or(it)))
            .collect();
        if all.contains(&Some(true)) {
            Some(true)
        } else if all.contains(&None) {
            None
        } else {
            Some(false)
        }
    }

    fn address(&self, value: &Value) -> Option<bool> {
        if let Some(prefix) = value.get("prefix") {
            let length = prefix.get("len")?.as_u64()?;
            return self
                .packet
                .is_within(&format!("{}/{length}", word(prefix, "addr")));
        }
        if let Some(bounds) = value.get("range").and_then(Value::as_array) {
            let bound = |at: usize| bounds.get(at)?.as_str()?.parse::<std::net::IpAddr>().ok();
            let address = self.packet.flow.to.ip();
            return Some(bound(0)? <= address && address <= bound(1)?);
        }
        self.packet.is_within(value.as_str()?)
    }

    fn port(&self, value: &Value) -> Option<bool> {
        if let Some(bounds) = value.get("range").and_then(Value::as_array) {
            let bound = |at: usize| bounds.get(at)?.as_u64();
            return Some(self.packet.is_port_within(bound(0)?, bound(1)?));
        }
        let port = value.as_u64()?;
        Some(self.packet.is_port_within(port, port))
    }

    fn transport(&self, value: &Value) -> Option<bool> {
        let named = value.as_str()?;
        Some(named == self.packet.transport())
    }

    fn is_narrow(&self, right: &Value) -> bool {
        right.as_str().is_some_and(is_narrow)
    }
}

/// The rule in few words. The tool's own form is longer than a line.
fn describe(parts: &[Value]) -> String {
    let words = parts.iter().map(|part| match part.get("match") {
        Some(it) => {
            let left = it.get("left").map(Value::to_string).unwrap_or_default();
            let right = it.get("right").map(Value::to_string).unwrap_or_default();
            let op = word(it, "op");
            let left = it
                .pointer("/left/payload")
                .map(|it| format!("{} {}", word(it, "protocol"), word(it, "field")))
                .or_else(|| Some(word(it.pointer("/left/meta")?, "key").to_owned()))
                .or_else(|| Some(format!("ct {}", word(it.pointer("/left/ct")?, "key"))))
                .unwrap_or(left);
            format!("{left} {op} {}", right.trim_matches('"'))
        }
        None => match part.as_object().and_then(|it| it.iter().next()) {
            Some((kind, told)) if kind == "xt" => word(told, "name").to_owned(),
            Some((kind, told)) if kind == "jump" || kind == "goto" => {
                format!("{kind} {}", word(told, "target"))
            }
            Some((kind, _)) => kind.clone(),
            None => String::new(),
        },
    });
    let words: Vec<String> = words
        .filter(|it| it != "counter" && !it.is_empty())
        .collect();
    words.join(" ")
}
