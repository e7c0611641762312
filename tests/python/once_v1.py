"""Drives the once-task loop with the vendor's old client (signature V1): typed requests, and raw ones by GET and POST."""

import json
import xml.etree.ElementTree as ElementTree

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from aliyunsdksas.request.v20181203.AddInstallCodeRequest import AddInstallCodeRequest
from aliyunsdksas.request.v20181203.CancelOnceTaskRequest import CancelOnceTaskRequest
from aliyunsdksas.request.v20181203.DeleteInstallCodeRequest import DeleteInstallCodeRequest
from aliyunsdksas.request.v20181203.DescribeAgentInstallStatusRequest import DescribeAgentInstallStatusRequest
from aliyunsdksas.request.v20181203.DescribeCloudCenterInstancesRequest import DescribeCloudCenterInstancesRequest
from aliyunsdksas.request.v20181203.DescribeInstallCodesRequest import DescribeInstallCodesRequest
from aliyunsdksas.request.v20181203.DescribeOnceTaskLeafRecordPageRequest import DescribeOnceTaskLeafRecordPageRequest
from aliyunsdksas.request.v20181203.DescribeOnceTaskRequest import DescribeOnceTaskRequest
from aliyunsdksas.request.v20181203.GenerateOnceTaskRequest import GenerateOnceTaskRequest
from aliyunsdksas.request.v20181203.GetAssetDetailByUuidRequest import GetAssetDetailByUuidRequest
from aliyunsdksas.request.v20181203.GetLastOnceTaskInfoRequest import GetLastOnceTaskInfoRequest
from aliyunsdksas.request.v20181203.GetOnceTaskResultInfoRequest import GetOnceTaskResultInfoRequest

import house
from house import OFFLINE, ONLINE


def client(key, secret):
    return AcsClient(key, secret, "cn-hangzhou", auto_retry=False)


sas = client(*house.KEY)


def call(kind, method="POST", by=sas, **params):
    """One typed call; the answer as JSON."""
    request = kind()
    request.set_endpoint(house.HOST)
    request.set_method(method)
    for name, value in params.items():
        getattr(request, "set_" + name)(value)
    return json.loads(by.do_action_with_exception(request))


def common(action, method="POST", query=(), body=()):
    """One raw request."""
    request = CommonRequest(domain=house.HOST, version="2018-12-03", action_name=action)
    request.set_method(method)
    request.set_protocol_type("http")
    for name, value in dict(query).items():
        request.add_query_param(name, value)
    for name, value in dict(body).items():
        request.add_body_params(name, value)
    return request


def refused(act, status, code, words):
    try:
        act()
    except ServerException as error:
        assert error.get_error_code() == code, (error.get_error_code(), error.get_error_msg())
        assert words in error.get_error_msg(), error.get_error_msg()
        assert error.get_http_status() == status, error.get_http_status()
        assert len(error.get_request_id()) == 36, error.get_request_id()
        return
    raise AssertionError(code + " was expected")


# The catalogue: this client does not know it, a raw request does.
for method in ("GET", "POST"):
    answer = json.loads(sas.do_action_with_exception(common("DescribeClientProblemType", method, query={"Lang": "zh"})))
    assert "offline" in [it["problemType"] for it in answer["ProblemTypes"]], answer

# Hosts.
criteria = json.dumps([{"name": "uuid", "value": ONLINE}])
answer = call(DescribeCloudCenterInstancesRequest, Criteria=criteria)
assert [it["Uuid"] for it in answer["Instances"]] == [ONLINE], answer
assert call(GetAssetDetailByUuidRequest, Uuid=OFFLINE)["AssetDetail"]["ClientStatus"] == "offline"
answer = call(DescribeAgentInstallStatusRequest, Uuids=ONLINE)["AegisClientInvokeStatusResponseList"]
assert (answer[0]["Uuid"], answer[0]["Result"]) == (ONLINE, 1), answer

# A problem check on both, parameters in a form body, with signs that are encoded in different ways.
made = json.loads(sas.do_action_with_exception(common("GenerateOnceTask", "POST", query={"TaskType": "CLIENT_PROBLEM_CHECK"}, body={
    "TaskName": "a b*c~d/e+f&g=h%20 离线", "Source": "Manual", "Param": house.check_param(ONLINE, OFFLINE)})))
assert made["TotalCount"] == 2 and made["CanCreate"] is True, made


def root(method="POST", **params):
    tasks = call(DescribeOnceTaskRequest, method, **params)["TaskManageResponseList"]
    return tasks[0] if len(tasks) == 1 else None


def half():
    task = root("GET", TaskType="CLIENT_PROBLEM_CHECK", TaskId=made["TaskId"])
    hosts = {it["uuid"]: it for it in house.details(task["DetailData"])}
    return (task, hosts) if task["Progress"] == "50%" and hosts[OFFLINE]["resCode"] == ["1003"] else None


task, hosts = house.until("one has answered, the other is offered by hand", half)
assert task["TaskName"] == "a b*c~d/e+f&g=h%20 离线", task["TaskName"]
assert hosts[OFFLINE]["dispatchType"] == "manual" and " check -b " in hosts[OFFLINE]["resMsg"][0], hosts
leaves = call(DescribeOnceTaskRequest, RootTaskId=made["TaskId"])
assert leaves["PageInfo"]["TotalCount"] == 2, leaves
answer = call(DescribeOnceTaskLeafRecordPageRequest, TaskType="CLIENT_PROBLEM_CHECK", StatusLists=["SUCCESS", "FAIL"])
assert [it["Target"] for it in answer["OnceTasks"]] == [ONLINE], answer
query = {"TaskType": "CLIENT_PROBLEM_CHECK", "Target": OFFLINE}
answer = json.loads(sas.do_action_with_exception(common("ListUnfinishedOnceTask", "GET", query=query)))
assert [it["Target"] for it in answer["OnceTasks"]] == [OFFLINE], answer
call(CancelOnceTaskRequest, TaskId=made["TaskId"])
task = root(TaskType="CLIENT_PROBLEM_CHECK", TaskId=made["TaskId"])
assert (task["Progress"], task["SuccessCount"], task["FailCount"]) == ("100%", 1, 1), task

# A command.
made = call(GenerateOnceTaskRequest, TaskType="CLIENT_DEV_OPS", TaskName="CLIENT_DEV_OPS",
            Param=json.dumps({"command": "echo ok; exit 7", "uuids": ONLINE}))


def ended():
    task = root(TaskType="CLIENT_DEV_OPS", TaskId=made["TaskId"])
    return task if task["Progress"] == "100%" else None


task = house.until("the command ends", ended)
(host,) = house.details(task["DetailData"])
assert (task["TaskStatus"], host["exitCode"], host["stdout"]) == (3, 7, "ok\n"), (task, host)
answer = call(GetLastOnceTaskInfoRequest, TaskType="CLIENT_DEV_OPS", TaskName="CLIENT_DEV_OPS")
assert (answer["FinishCount"], answer["TaskInfo"]["Result"]) == (1, "FAIL"), answer
answer = call(GetOnceTaskResultInfoRequest, TaskType="CLIENT_DEV_OPS", TaskName="CLIENT_DEV_OPS", TaskId=made["TaskId"])
assert answer["TaskInfo"]["Status"] == "FAIL", answer

# Install codes.
code = call(AddInstallCodeRequest, OnlyImage=True)["CaptchaCode"]
assert code in [it["CaptchaCode"] for it in call(DescribeInstallCodesRequest)["InstallCodes"]]
call(DeleteInstallCodeRequest, CaptchaCode=code)

# XML, which this signature's callers get unless they say otherwise.
request = common("DescribeOnceTask", "POST", body={"TaskType": "CLIENT_DEV_OPS"})
request.set_accept_format("XML")
status, headers, body = sas.get_response(request)
tree = ElementTree.fromstring(body)
assert status == 200 and tree.tag == "DescribeOnceTaskResponse", (status, body)
assert tree.findtext("TaskManageResponseList/TaskManageResponse/TaskId") == made["TaskId"], body
assert tree.findtext("PageInfo/TotalCount") == "1", body

# What is refused. A wrong secret must not crash this client, which takes the message apart.
ask = dict(TaskType="CLIENT_DEV_OPS")
try:
    call(DescribeOnceTaskRequest, by=client(house.KEY[0], "wrong"), **ask)
    raise AssertionError("a wrong secret was accepted")
except ServerException as error:
    assert error.get_error_code() == "InvalidAccessKeySecret", error
    assert error.get_http_status() == 400, error
refused(lambda: call(DescribeOnceTaskRequest, by=client("nobody", "x"), **ask), 404, "InvalidAccessKeyId.NotFound", "not found")
refused(lambda: call(DescribeOnceTaskRequest, by=client(*house.FORBIDDEN), **ask), 403, "NoPermission", "caller has no permission")
refused(lambda: call(DescribeOnceTaskRequest), 400, "MissingParameter", "TaskType")
refused(lambda: call(DescribeOnceTaskRequest, CurrentPage=0, **ask), 400, "InvalidParameter", "CurrentPage")
refused(lambda: call(CancelOnceTaskRequest, TaskId="0" * 32), 404, "EntityNotExist", "does not exist")
print("all is well")
