"""Drives the once-task loop with the vendor's current client (signature V3), sync and async."""

import asyncio
import json

from alibabacloud_sas20181203 import models
from alibabacloud_sas20181203.client import Client
from alibabacloud_tea_openapi.models import Config
from darabonba.exceptions import DaraException

import house
from house import OFFLINE, ONLINE


def client(key, secret, **more):
    return Client(Config(access_key_id=key, access_key_secret=secret, endpoint=house.HOST, protocol="http", **more))


def refused(call, status, code, words):
    try:
        call()
    except DaraException as error:
        assert error.code == code, (error.code, error.message)
        assert words in error.message, error.message
        assert error.status_code == status, error.status_code
        return error
    raise AssertionError(code + " was expected")


sas = client(*house.KEY)

# The catalogue of complaints.
body = sas.describe_client_problem_type(models.DescribeClientProblemTypeRequest(lang="en")).body
problems = {it.problem_type: it for it in body.problem_types}
assert "offline" in problems, problems.keys()
assert all(it.problem_id and it.problem_detail for it in problems.values())
assert len(body.request_id) == 36, body.request_id

# Hosts.
body = sas.describe_cloud_center_instances(models.DescribeCloudCenterInstancesRequest(
    criteria=json.dumps([{"name": "clientStatus", "value": "online"}]), logical_exp="AND", current_page=1, page_size=20)).body
assert [it.uuid for it in body.instances] == [ONLINE], body
assert body.page_info.total_count == 1 and body.success is True
detail = sas.get_asset_detail_by_uuid(models.GetAssetDetailByUuidRequest(uuid=ONLINE)).body.asset_detail
assert detail.uuid == ONLINE and detail.client_status == "online" and detail.cpu > 0, detail
statuses = sas.describe_agent_install_status(models.DescribeAgentInstallStatusRequest(uuids=ONLINE + "," + OFFLINE)).body
statuses = statuses.aegis_client_invoke_status_response_list
assert [(it.uuid, it.result) for it in statuses] == [(ONLINE, 1), (OFFLINE, 1)], statuses

# A problem check, as documented.
made = sas.generate_once_task(models.GenerateOnceTaskRequest(
    task_type="CLIENT_PROBLEM_CHECK", task_name="CLIENT_PROBLEM_CHECK", source="Manual", param=house.check_param(ONLINE))).body
assert made.can_create is True and made.total_count == 1 and len(made.task_id) == 32, made


def root(task_id, task_type):
    request = models.DescribeOnceTaskRequest(task_type=task_type, task_id=task_id, current_page=1, page_size=20)
    (task,) = sas.describe_once_task(request).body.task_manage_response_list
    return task


def ended(task_id, task_type):
    def ask():
        task = root(task_id, task_type)
        return task if task.progress == "100%" else None
    return house.until("the task ends", ask)


task = ended(made.task_id, "CLIENT_PROBLEM_CHECK")
assert (task.task_status, task.task_status_text, task.success_count, task.fail_count) == (2, "SUCCESS", 1, 0), task
assert task.task_end_time >= task.task_start_time, task
(host,) = house.details(task.detail_data)
assert host["uuid"] == ONLINE and host["dispatchType"] == "auto" and host["problemType"] == "offline", host
leaves = sas.describe_once_task(models.DescribeOnceTaskRequest(root_task_id=made.task_id)).body
(leaf,) = leaves.task_manage_response_list
assert leaf.task_id != made.task_id and leaves.page_info.total_count == 1, leaves
(host,) = house.details(leaf.detail_data)
assert host["url"].startswith("http://" + house.HOST + "/bundle/"), host["url"]

# A command, on both hosts: one answers, the other waits and is cancelled.
made = sas.generate_once_task(models.GenerateOnceTaskRequest(
    task_type="CLIENT_DEV_OPS", task_name="CLIENT_DEV_OPS", param=json.dumps({"command": "echo 离线 ok"}))).body
assert made.total_count == 2, made
house.until("one answers", lambda: (root(made.task_id, "CLIENT_DEV_OPS").success_count == 1) or None)
task = root(made.task_id, "CLIENT_DEV_OPS")
assert (task.progress, task.task_status) == ("50%", 1), task
hosts = {it["uuid"]: it for it in house.details(task.detail_data)}
assert hosts[ONLINE]["stdout"] == "离线 ok\n", hosts


def records(*statuses):
    return sas.describe_once_task_leaf_record_page(models.DescribeOnceTaskLeafRecordPageRequest(
        task_id=made.task_id, task_type="CLIENT_DEV_OPS", status_list=list(statuses), relate_info=False,
        current_page=1, page_size=50)).body


body = records("SUCCESS")
(record,) = body.once_tasks
assert (record.target, record.status, record.status_text, record.result_info) == (ONLINE, "2", "SUCCESS", "SUCCESS"), record
assert (record.finish_count, record.total_count, record.progress) == ("1", "1", 100), record
assert records("SUCCESS", "INIT").page_info.total_count == 2
unfinished = sas.list_unfinished_once_task(models.ListUnfinishedOnceTaskRequest(
    task_type="CLIENT_DEV_OPS", target=OFFLINE)).body.once_tasks
assert [it.target for it in unfinished] == [OFFLINE], unfinished
info = sas.get_last_once_task_info(models.GetLastOnceTaskInfoRequest(
    task_type="CLIENT_DEV_OPS", task_name="CLIENT_DEV_OPS")).body
assert (info.finish_count, info.total_count, info.task_info.progress) == (1, 2, 50), info
sas.cancel_once_task(models.CancelOnceTaskRequest(task_id=made.task_id))
task = ended(made.task_id, "CLIENT_DEV_OPS")
assert (task.success_count, task.fail_count, task.task_status_text) == (1, 1, "SUCCESS"), task
info = sas.get_once_task_result_info(models.GetOnceTaskResultInfoRequest(
    task_type="CLIENT_DEV_OPS", task_name="CLIENT_DEV_OPS", task_id=made.task_id)).body
assert info.task_info.status == "SUCCESS", info
assert records("FAIL").once_tasks[0].result_info == "CANCELLED"

# What is on the hosts is collected, and shown entry by entry.
sas.refresh_assets(models.RefreshAssetsRequest(asset_type="ecs"))


def collected():
    request = models.DescribeOnceTaskRequest(task_type="ASSETS_COLLECTION", current_page=1, page_size=20)
    return sas.describe_once_task(request).body.task_manage_response_list


(task,) = collected()
assert ended(task.task_id, "ASSETS_COLLECTION").success_count == 1
pushed = sas.modify_push_all_task(models.ModifyPushAllTaskRequest(
    tasks="HEALTH_CHECK,ACCOUNT_SNAPSHOT", uuids=ONLINE + "," + OFFLINE)).body.push_task_rsp.push_task_result_list
assert [(it.uuid, it.online, it.success) for it in pushed] == [(ONLINE, True, True), (OFFLINE, False, False)], pushed
assert pushed[0].message == "successful" and "offline" in pushed[1].message, pushed
assert ended(collected()[0].task_id, "ASSETS_COLLECTION").success_count == 1


def properties(ask, request, **filters):
    """All entries, page by page and again token by token: both ways show the same."""
    numbered, number = [], 1
    while True:
        body = ask(request(current_page=number, page_size=7, **filters)).body
        assert (body.page_info.current_page, body.page_info.page_size) == (number, 7), body.page_info
        assert body.page_info.count == len(body.propertys), body.page_info
        numbered += body.propertys
        if not body.propertys:
            break
        number += 1
    assert body.page_info.total_count == len(numbered), body.page_info
    by_token, token = [], None
    while True:
        body = ask(request(use_next_token=True, next_token=token, page_size=50, **filters)).body
        assert body.page_info.total_count is None, body.page_info
        by_token += body.propertys
        token = body.page_info.next_token
        if token is None:
            break
    assert [it.to_map() for it in by_token] == [it.to_map() for it in numbered]
    assert all(it.uuid == ONLINE and it.instance_name and it.create_timestamp > 0 for it in numbered), numbered
    return numbered


def processes(**filters):
    return properties(sas.describe_property_proc_detail, models.DescribePropertyProcDetailRequest, **filters)


agents = processes(name="KBAY-agent", extend="1")
assert agents and all(it.name == "sickbay-agent" for it in agents) and processes(name="kbay-agent") == [], agents
agent = agents[-1]
assert agent.path.endswith("/sickbay-agent") and agent.state and agent.start_time.startswith("20"), agent
assert agent.pid in [it.pid for it in processes(name=agent.name, cmdline=agent.cmdline, user=agent.user)]
started = agent.start_time_dt
assert agent.pid in [it.pid for it in processes(proc_time_start=started, proc_time_end=started)]
assert agent.pid not in [it.pid for it in processes(proc_time_end=started - 1, uuid=ONLINE, name=agent.name)]
ports = properties(sas.describe_property_port_detail, models.DescribePropertyPortDetailRequest, port=house.HOST.split(":")[1])
assert [(it.bind_ip, it.proto) for it in ports] == [("127.0.0.1", "tcp")] and ports[0].proc_name, ports
(user,) = properties(sas.describe_property_user_detail, models.DescribePropertyUserDetailRequest, user="root", is_root="1")
assert (user.user, user.is_root, user.is_could_login) == ("root", "1", 1) and "root" in user.group_names, user
for nobody in (dict(uuid=OFFLINE), dict(remark="no such host"), dict(user="root", is_root="0")):
    assert properties(sas.describe_property_user_detail, models.DescribePropertyUserDetailRequest, **nobody) == []
software = properties(sas.describe_property_software_detail, models.DescribePropertySoftwareDetailRequest)
assert all(it.install_time_dt is None or it.install_time.startswith("20") for it in software)
for one in software[:1]:
    same = properties(sas.describe_property_software_detail, models.DescribePropertySoftwareDetailRequest,
                      name=one.name, software_version=one.version, remark=one.instance_name)
    assert one.to_map() in [it.to_map() for it in same], (one, same)

# Install codes.
before = {it.captcha_code for it in sas.describe_install_codes().body.install_codes}
sas.add_install_code(models.AddInstallCodeRequest(os="linux", only_image=False))
after = {it.captcha_code for it in sas.describe_install_codes().body.install_codes}
(code,) = after - before
sas.delete_install_code(models.DeleteInstallCodeRequest(captcha_code=code))
assert code not in [it.captcha_code for it in sas.describe_install_codes().body.install_codes or []]


# The same, asynchronously: this client adds a header that it does not sign.
async def later():
    request = models.DescribeOnceTaskRequest(task_type="CLIENT_DEV_OPS", current_page=1, page_size=1)
    return (await sas.describe_once_task_async(request)).body


assert asyncio.run(later()).task_manage_response_list[0].task_id == made.task_id

# The same by this client's older signature.
older = client(*house.KEY, signature_algorithm="v2")
body = older.describe_once_task(models.DescribeOnceTaskRequest(task_type="CLIENT_DEV_OPS")).body
assert body.page_info.total_count == 1, body

# What is refused.
ask = models.DescribeOnceTaskRequest(task_type="CLIENT_DEV_OPS")
refused(lambda: client(house.KEY[0], "wrong").describe_once_task(ask), 400, "SignatureDoesNotMatch", "does not match")
refused(lambda: client("nobody", "x").describe_once_task(ask), 404, "InvalidAccessKeyId.NotFound", "not found")
error = refused(lambda: client(*house.FORBIDDEN).describe_once_task(ask), 403, "NoPermission", "caller has no permission")
assert error.access_denied_detail["AuthAction"] == "yundun-sas:DescribeOnceTask", error.access_denied_detail
refused(lambda: sas.describe_once_task(models.DescribeOnceTaskRequest()), 400, "MissingParameter", "TaskType")
refused(lambda: sas.describe_once_task(models.DescribeOnceTaskRequest(task_type="CLIENT_DEV_OPS", page_size=101)),
        400, "InvalidParameter", "PageSize")
refused(lambda: sas.generate_once_task(models.GenerateOnceTaskRequest(
    task_type="CLIENT_DEV_OPS", task_name="x", param="{")), 400, "IllegalParam", "JSON")
print("all is well")
