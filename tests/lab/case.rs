//! What a case is: a host with one agent, what is done to it, and what a check must then say.

use crate::host::Init;
use crate::subject::Subject;
use crate::world::dns::Answer;

/// Something that is done to a host that is well.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Its name, unique.
    pub(crate) name: &'static str,
    /// The agent that it is about.
    pub(crate) subject: &'static Subject,
    /// What runs the host.
    pub(crate) init: Init,
    /// What is done, in this order.
    pub(crate) inject: &'static [Step],
    /// Names of causes; one of them must be named first.
    pub(crate) expected: &'static [&'static str],
}

/// One thing that is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A script in the host, which must succeed.
    Host(&'static str),
    /// A rule of the packet filter between the world and the host, for what comes from `HOST`.
    Filter(&'static str),
    /// What the name server says.
    Names(Answer),
    /// The name server sends the host to another server of the world.
    Server(u8),
    /// The control plane forgets the host.
    Revoke,
    /// A second machine runs with the same identity.
    Clone,
}

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Person {
    /// Root.
    Root,
    /// An ordinary user.
    User,
}

/// A host that is well, and must be found so.
#[derive(Debug)]
pub(crate) struct Healthy {
    /// Its name, unique.
    pub(crate) name: &'static str,
    /// The agent on it.
    pub(crate) subject: &'static Subject,
    /// What runs it.
    pub(crate) init: Init,
    /// Who looks.
    pub(crate) person: Person,
    /// What else goes on there.
    pub(crate) work: &'static str,
}

/// Two faults at once.
#[derive(Debug)]
pub(crate) struct Pair(pub(crate) &'static str, pub(crate) &'static str);

/// A fault on a host with systemd.
pub(crate) const fn fault(
    name: &'static str,
    subject: &'static Subject,
    inject: &'static [Step],
    expected: &'static [&'static str],
) -> Fault {
    Fault {
        name,
        subject,
        init: Init::Systemd,
        inject,
        expected,
    }
}

/// A fault on a host without systemd.
pub(crate) const fn plain(
    name: &'static str,
    subject: &'static Subject,
    inject: &'static [Step],
    expected: &'static [&'static str],
) -> Fault {
    Fault {
        name,
        subject,
        init: Init::Plain,
        inject,
        expected,
    }
}
