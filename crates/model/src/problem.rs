//! The catalogue of problem types: what an operator can complain of.

use crate::Text;

/// One kind of complaint. Ids and names are stable; append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProblemType {
    /// Number on the wire (`problemId`), as decimal digits.
    pub id: u8,
    /// Machine name on the wire (`problemType`).
    pub name: &'static str,
    /// What the complaint is.
    pub text: Text,
}

impl ProblemType {
    /// All problem types, by id.
    pub const ALL: [Self; 21] = [
        Self::of(1, "offline", "The agent is offline", "客户端离线"),
        Self::of(
            2,
            "high_cpu",
            "The agent uses too much CPU",
            "客户端占用 CPU 过高",
        ),
        Self::of(
            3,
            "high_memory",
            "The agent uses too much memory",
            "客户端占用内存过高",
        ),
        Self::of(4, "other", "Something else", "其他"),
        Self::of(
            5,
            "crash",
            "The agent crashes or restarts again and again",
            "客户端崩溃或反复重启",
        ),
        Self::of(
            6,
            "start_failed",
            "The agent does not start",
            "客户端无法启动",
        ),
        Self::of(
            7,
            "install_failed",
            "The agent cannot be installed",
            "客户端安装失败",
        ),
        Self::of(
            8,
            "uninstall_failed",
            "The agent cannot be removed",
            "客户端卸载失败",
        ),
        Self::of(
            9,
            "upgrade_failed",
            "The agent cannot be upgraded",
            "客户端升级失败",
        ),
        Self::of(
            10,
            "high_disk_usage",
            "The agent fills the disk",
            "客户端占用磁盘过多",
        ),
        Self::of(
            11,
            "high_disk_io",
            "The agent causes too much disk traffic",
            "客户端磁盘读写过高",
        ),
        Self::of(
            12,
            "high_network",
            "The agent causes too much network traffic",
            "客户端网络流量过高",
        ),
        Self::of(
            13,
            "no_data",
            "The agent is online but reports nothing",
            "客户端在线但不上报数据",
        ),
        Self::of(
            14,
            "delayed_data",
            "The agent reports late",
            "客户端数据上报延迟",
        ),
        Self::of(
            15,
            "duplicate_identity",
            "Two hosts share one identity",
            "多台主机标识重复",
        ),
        Self::of(
            16,
            "tls_failed",
            "The agent's secure connection fails",
            "客户端安全连接失败",
        ),
        Self::of(
            17,
            "proxy_failed",
            "The agent cannot pass its proxy",
            "客户端无法通过代理",
        ),
        Self::of(
            18,
            "clock_wrong",
            "The host's clock is wrong",
            "主机时钟不正确",
        ),
        Self::of(
            19,
            "permission_denied",
            "The agent lacks permissions",
            "客户端权限不足",
        ),
        Self::of(
            20,
            "task_failed",
            "Tasks fail on the host",
            "主机任务执行失败",
        ),
        Self::of(21, "host_slow", "The host became slow", "主机变慢"),
    ];

    const fn of(id: u8, name: &'static str, en: &'static str, zh: &'static str) -> Self {
        let text = Text { en, zh };
        Self { id, name, text }
    }

    /// The problem type of that machine name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_from_one_and_names_are_unique() {
        for (at, it) in ProblemType::ALL.iter().enumerate() {
            assert_eq!(usize::from(it.id), at + 1);
            assert_eq!(ProblemType::find(it.name), Some(*it));
        }
    }
}
