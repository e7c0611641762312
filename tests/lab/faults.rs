//! The faults, healthy hosts and pairs of the laboratory, as data.
//!
//! A fault is done to a host on which its agent works, as it would come about: a file is removed and the agent started again. The
//! causes are those that a person with root's rights and time would name.

use crate::case::{Fault, Pair};

mod field;
mod files;
pub(crate) mod healthy;
mod identity;
mod network;
mod packages;
mod resources;
mod server;
mod service;
mod start;

/// All single faults.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    [
        service::FAULTS,
        start::FAULTS,
        files::FAULTS,
        network::FAULTS,
        server::FAULTS,
        resources::FAULTS,
        identity::FAULTS,
        packages::FAULTS,
        field::FAULTS,
    ]
    .into_iter()
    .flatten()
}

/// What every run of the tests looks at: faults of every kind, and hosts that are well.
pub(crate) const SHORT: &[&str] = &[
    "service-stopped",
    "program-deleted",
    "configuration-invalid",
    "data-disk-full",
    "dns-silent",
    "data-read-only",
    "port-dropped",
    "certificate-expired",
    "healthy-sickbay",
    "healthy-sickbay-plain-user",
];

/// Faults that come in twos, by name, on the same agent.
pub(crate) const PAIRS: &[Pair] = &[
    Pair("data-disk-full", "port-dropped"),
    Pair("dns-silent", "service-disabled"),
    Pair("configuration-invalid", "data-inodes-out"),
    Pair("certificate-expired", "data-disk-full"),
    Pair("route-gone", "service-stopped"),
    Pair("zabbix-config-syntax", "zabbix-log-wrong-owner"),
    Pair("port-dropped", "data-wrong-owner"),
    Pair("dns-nxdomain", "service-frozen"),
    Pair("exporter-port-taken", "exporter-service-disabled"),
    Pair("zabbix-masked", "zabbix-log-disk-full"),
    Pair("server-closed", "key-open-to-all"),
    Pair("clock-ahead", "dns-slow"),
];
