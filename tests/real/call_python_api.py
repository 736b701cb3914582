"""Run by the Python of the real client: calls every function of its `Client` that the server answers, prints what came back.

Knows nothing of ours. Arguments: a task that is done, the job of it, a task that waits.
"""

import datetime
import json
import sys

from pandaclient import Client, FileSpec, JobSpec, panda_api

DONE, JOB, WAITING = (int(argument) for argument in sys.argv[1:4])
UNKNOWN = 19_999_999


def plain(job):
    """What of a job of the client's own class is looked at."""
    return job and [job.PandaID, job.jobStatus, str(job.jobParameters)[:3], sorted(file.type for file in job.Files)]


def new_job():
    """A job as scripts of old make them, without a task."""
    job = JobSpec.JobSpec()
    job.jobDefinitionID, job.jobName, job.transformation, job.jobParameters = 1, "api", "/bin/echo", "hello"
    job.destinationDBlock, job.computingSite, job.prodSourceLabel, job.VO = (
        "user.testuser.api",
        "LOCAL",
        "user",
        "testvo",
    )
    file = FileSpec.FileSpec()
    file.lfn, file.type, file.dataset, file.scope = "api.log.tgz", "log", "user.testuser.api", "user.testuser"
    file.destinationDBlock, file.destinationSE = "user.testuser.api", "local"
    job.addFile(file)
    return job


def answers():
    """Name of the question -> answer."""
    api = panda_api.get_api()
    since = datetime.datetime.utcnow() - datetime.timedelta(hours=1)
    yield "hello", Client.hello()[0]
    yield "attributes", Client.get_cert_attributes()[1]
    yield "job ids", [Client.getPandaIDsWithTaskID(task) for task in (DONE, UNKNOWN)]
    yield "jobs", [plain(job) for job in Client.getJobStatus([JOB, 99_999_999])[1]]
    yield "full jobs", [plain(job) for job in Client.getFullJobStatus([99_999_999, JOB])[1]]
    yield "status", [Client.getTaskStatus(task) for task in (DONE, WAITING, UNKNOWN)]
    yield "parameters", Client.getTaskParamsMap(DONE)[1]["taskName"]
    yield "details", Client.getJediTaskDetails({"jediTaskID": DONE}, True, True)[1]["statistics"]
    recent = Client.getJobIDsJediTasksInTimeRange("2020-01-01 00:00:00", dn="Test User", minTaskID=DONE - 1)[1]
    yield "recent tasks", sorted(task["jediTaskID"] for task in recent.values())
    found = Client.get_tasks_detailed_info_since(since=since, filters={"status": "done"}, n_tasks=5)[1]
    yield "filtered tasks", [[task["jediTaskID"], type(task["creationDate"]).__name__] for task in found]
    yield "wrong filter", Client.get_tasks_detailed_info_since(filters={"nonsense": "1"})[0]
    yield "files", [entry["dataset"]["name"] for entry in Client.get_files_in_datasets(DONE, "output,log")[1]]
    yield "descriptions", [[job["PandaID"], job["jobStatus"]] for job in Client.get_job_descriptions(DONE)[1]]
    yield "unsuccessful", Client.get_job_descriptions(DONE, unsuccessful_only=True)[1]
    yield "record", [Client.get_task_details_json(task)[1][0] for task in (DONE, UNKNOWN)]
    yield "parent", Client.get_parent_detailed_info(DONE)[0]
    yield "metadata", Client.getUserJobMetadata(DONE)[1]
    yield "kill jobs", Client.killJobs([JOB, 99_999_999])
    for name, call in (
        ("pause", Client.pauseTask),
        ("resume", Client.resumeTask),
        ("reactivate", Client.reactivateTask),
    ):
        yield name, call(WAITING)[1]
    yield "more attempts", api.increase_attempt_nr(WAITING, 2)[1]
    yield "recovery", Client.send_file_recovery_request(DONE, True)[1][0]
    yield "no file", Client.getFile("nothing.tgz")[0]
    yield (
        "event ranges",
        [Client.get_events_status([{"task_id": DONE, "panda_id": JOB}])[0], Client.update_events([])[0]],
    )
    yield "workflow", [Client.submit_workflow({"a": 1})[1], Client.send_workflow_request({"a": 1}, check=True)[1]]
    yield "relay", [Client.call_idds_command("ping")[1], Client.call_idds_user_workflow_command("get_status")[1]]
    yield (
        "secrets",
        [Client.set_user_secret("ü", "✓")[1], Client.get_user_secrets()[1], Client.set_user_secret("ü", None)[1]],
    )
    yield "too large", Client.set_user_secret("big", "x" * 1_100_000)[1][0]
    yield "submit jobs", len(Client.submitJobs([new_job()])[1])
    yield "no task", [api.submit_task(parameters) for parameters in ({}, [], {"taskName": None})]
    yield "commands", [api.kill_task(DONE)[1][0], api.finish_task(DONE)[1][0], api.retry_task(UNKNOWN)[1]]
    yield "kill", api.kill_task(WAITING)[1]
    yield "get tasks", [task["status"] for task in api.get_tasks([DONE, WAITING])]


sys.stdout.write("ANSWERS " + json.dumps(dict(answers()), default=str) + "\n")
