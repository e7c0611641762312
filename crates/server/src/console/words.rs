//! The console's texts, in every language.

use model::Language;

/// The texts in one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words(pub(super) Language);

macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)+) => {
        impl Words {
            $(
                #[doc = concat!("\"", $en, "\"")]
                pub(super) const fn $name(self) -> &'static str {
                    match self.0 {
                        Language::English => $en,
                        Language::Chinese => $zh,
                    }
                }
            )+
        }
    };
}

words! {
    // Places
    overview: "Overview", "总览";
    tasks: "Tasks", "任务";
    hosts: "Hosts", "主机";
    causes: "Causes", "原因";
    audit: "Audit", "审计";
    new_task: "New task", "新建任务";
    skip: "Skip to content", "跳到内容";
    // The person
    sign_in: "Sign in", "登录";
    sign_out: "Sign out", "退出";
    key_id: "Access key id", "AccessKey ID";
    key_secret: "Access key secret", "AccessKey Secret";
    sign_in_hint: "Sign in with an access key of this control plane.", "请使用本控制台的 AccessKey 登录。";
    sign_in_failed: "Access key id or secret is wrong, or the key is switched off.", "AccessKey ID 或 Secret 错误，或该密钥已停用。";
    sign_in_slowly: "Too many attempts from this address: wait a minute, then try again.", "该地址尝试次数过多：请等待一分钟后再试。";
    root_key_hint: "The root key is in root-key.json of the data directory.", "根密钥在数据目录的 root-key.json 文件中。";
    light: "Light", "浅色";
    dark: "Dark", "深色";
    system_look: "System", "跟随系统";
    look: "Look", "外观";
    language: "Language", "语言";
    // Refusals
    no_permission: "You may not see this", "没有权限";
    not_there: "There is no such thing", "不存在";
    did_not_work: "That did not work", "操作失败";
    // Tasks
    kind: "Type", "类型";
    status: "Status", "状态";
    progress: "Progress", "进度";
    started: "Started", "开始时间";
    ended: "Ended", "结束时间";
    duration: "Duration", "耗时";
    source: "Source", "来源";
    task: "Task", "任务";
    no_tasks: "No tasks yet.", "还没有任务。";
    outcomes: "Outcomes", "结果分组";
    all: "All", "全部";
    host: "Host", "主机";
    answer: "Answer", "回答";
    nothing_here: "Nothing here.", "这里没有内容。";
    cancel: "Cancel", "取消任务";
    cancel_sure: "Stop what runs and drop what waits?", "停止正在执行的并放弃等待中的？";
    rerun_failed: "Rerun failed and timed out", "重新执行失败和超时的";
    rerun_here: "Rerun exactly these", "仅重新执行这些";
    live: "Live", "实时";
    paused: "Paused", "已暂停";
    rerun_of: "Rerun of", "重新执行自";
    waiting_host: "waits for its host", "等待主机上线";
    previous: "Previous", "上一页";
    next: "Next", "下一页";
    of: "of", "/";
    page: "Page", "第";
    // Statuses
    status_init: "waiting", "等待中";
    status_start: "sent", "已下发";
    status_dispatch: "running", "执行中";
    status_success: "succeeded", "成功";
    status_fail: "failed", "失败";
    status_timeout: "timed out", "超时";
    unfinished: "unfinished", "未完成";
    // Leaf
    findings: "Findings", "诊断结果";
    no_findings: "No cause found: as far as could be seen, this host is healthy.", "未发现原因：就所能检查到的，该主机正常。";
    evidence: "Evidence", "证据";
    fixes: "What to do", "处理办法";
    probes: "Probes", "检查项";
    output: "Output", "输出";
    errors: "Errors", "错误输出";
    exit_code: "Exit code", "退出码";
    signal: "Signal", "信号";
    bundle: "Log bundle", "日志包";
    download: "Download", "下载";
    manual_command: "Run this on the host", "请在主机上执行";
    manual_hint: "The host is offline. Paste this line into a shell of the host as root; its answer appears here.", "主机离线。请以 root 身份在主机的终端中粘贴此命令；结果会显示在这里。";
    copy: "Copy", "复制";
    copied: "Copied", "已复制";
    is_symptom: "symptom of", "的症状，根因是";
    inventory: "Inventory", "资产清单";
    // Hosts
    address: "Address", "地址";
    system: "System", "操作系统";
    version: "Agent", "客户端版本";
    labels: "Labels", "标签";
    last_contact: "Last contact", "最近联系";
    online: "online", "在线";
    offline: "offline", "离线";
    no_hosts: "No host has enrolled yet.", "还没有主机注册。";
    no_match: "Nothing matches.", "没有匹配项。";
    filter: "Filter", "筛选";
    filter_hint: "for example: os = debian and label.env in (prod, stage)", "例如：os = debian and label.env in (prod, stage)";
    check_now: "Check now", "立即检查";
    memory: "Memory", "内存";
    processors: "Processors", "处理器";
    kernel: "Kernel", "内核";
    enrolled: "Enrolled", "注册时间";
    unfinished_here: "Unfinished tasks", "未完成的任务";
    // New task
    targets: "Targets", "目标";
    all_hosts: "All hosts", "所有主机";
    command: "Command", "命令";
    problem: "Complaint", "问题类型";
    mode: "Mode", "模式";
    mode_standard: "standard (seconds)", "标准（数秒）";
    mode_deep: "deep, with log bundle (up to a minute)", "深度，含日志包（最多一分钟）";
    create: "Start on these hosts", "在这些主机上开始";
    match_count: "hosts match", "台主机匹配";
    of_these_online: "of these online", "其中在线";
    unknown_count: "not known well enough to match", "信息不足无法匹配";
    type_count: "This is a large task. Type the number of hosts to confirm", "任务规模较大，请输入主机数量以确认";
    concurrency: "At most at once", "最大并发";
    stop_after: "Stop after failures", "失败数达到后停止";
    optional: "optional", "可选";
    check_title: "Problem check", "问题诊断";
    ops_title: "Operations command", "运维命令";
    asset_title: "Asset check", "资产检查";
    collection_title: "Asset collection", "资产采集";
    // Audit
    user: "User", "用户";
    action: "Operation", "操作";
    when: "When", "时间";
    result: "Result", "结果";
    from: "From", "来自";
    about: "About", "详情";
    older: "Older", "较旧";
    // Overview
    running_now: "Running now", "正在运行";
    recent: "Recent", "最近";
    search: "Search", "搜索";
    severity: "Severity", "严重程度";
    code: "Code", "代码";
    sentence: "What is wrong", "问题";
    see_it: "See it yourself", "自行查看";
    explanation: "Explanation", "说明";
}

impl Words {
    /// The word for a leaf's or root's status.
    pub(super) fn status_of(self, wire: &str) -> &'static str {
        match model::Status::from_wire(wire) {
            Some(model::Status::Init) => self.status_init(),
            Some(model::Status::Start) => self.status_start(),
            Some(model::Status::Dispatch) => self.status_dispatch(),
            Some(model::Status::Success) => self.status_success(),
            Some(model::Status::Fail) => self.status_fail(),
            Some(model::Status::Timeout) => self.status_timeout(),
            None => "?",
        }
    }

    /// The title of a task type.
    pub(super) fn type_of(self, wire: &str) -> &'static str {
        match wire.parse() {
            Ok(model::TaskType::ClientProblemCheck) => self.check_title(),
            Ok(model::TaskType::ClientDevOps) => self.ops_title(),
            Ok(model::TaskType::AssetsCollection) => self.collection_title(),
            Ok(_) => self.asset_title(),
            Err(_) => "?",
        }
    }
}
