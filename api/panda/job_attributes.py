"""The attributes of jobs and files in PanDA's fixed order, and records that come as lists in that order.

The user client sends jobs as positional lists (client-wire.md 3.1), every reader of job records expects all the names.
"""

from __future__ import annotations

from typing import Any

from core.errors import InvalidInput

_IN_A_JOB = """
    PandaID jobDefinitionID schedulerID pilotID creationTime creationHost modificationTime modificationHost
    AtlasRelease transformation homepackage prodSeriesLabel prodSourceLabel prodUserID assignedPriority
    currentPriority attemptNr maxAttempt jobStatus jobName maxCpuCount maxCpuUnit maxDiskCount maxDiskUnit
    ipConnectivity minRamCount minRamUnit startTime endTime cpuConsumptionTime cpuConsumptionUnit
    commandToPilot transExitCode pilotErrorCode pilotErrorDiag exeErrorCode exeErrorDiag supErrorCode
    supErrorDiag ddmErrorCode ddmErrorDiag brokerageErrorCode brokerageErrorDiag jobDispatcherErrorCode
    jobDispatcherErrorDiag taskBufferErrorCode taskBufferErrorDiag computingSite computingElement
    jobParameters metadata prodDBlock dispatchDBlock destinationDBlock destinationSE nEvents grid cloud
    cpuConversion sourceSite destinationSite transferType taskID cmtConfig stateChangeTime prodDBUpdateTime
    lockedby relocationFlag jobExecutionID VO pilotTiming workingGroup processingType prodUserName
    nInputFiles countryGroup batchID parentID specialHandling jobsetID coreCount nInputDataFiles
    inputFileType inputFileProject inputFileBytes nOutputDataFiles outputFileBytes jobMetrics workQueue_ID
    jediTaskID jobSubStatus actualCoreCount reqID maxRSS maxVMEM maxSWAP maxPSS avgRSS avgVMEM avgSWAP avgPSS
    maxWalltime nucleus eventService failedAttempt hs06sec gshare hs06 totRCHAR totWCHAR totRBYTES totWBYTES
    rateRCHAR rateWCHAR rateRBYTES rateWBYTES resource_type diskIO memory_leak memory_leak_x2 container_name
    job_label gco2_regional gco2_global cpu_architecture_level outputFileType
"""
_IN_A_FILE = """
    rowID PandaID GUID lfn type dataset status prodDBlock prodDBlockToken dispatchDBlock dispatchDBlockToken
    destinationDBlock destinationDBlockToken destinationSE fsize md5sum checksum scope
"""
JOB_ATTRIBUTES: tuple[str, ...] = tuple(_IN_A_JOB.split())
FILE_ATTRIBUTES: tuple[str, ...] = tuple(_IN_A_FILE.split())
_TIME_MARK = "_datetime_object"


def job_dictionary(record: Any, position: str) -> dict[str, Any]:
    """A job as attribute name -> value, whether it came as an object or as a list with its files at the end.

    Raises InvalidInput naming `position` for anything else. "NULL" is what the client sends for unset; times are left out,
    because the server sets them.
    """
    if isinstance(record, dict):
        return record
    if not isinstance(record, list) or len(record) < 2 or not isinstance(record[-1], list):
        count = len(JOB_ATTRIBUTES) + 1
        raise InvalidInput("not a job", field=position, remedy=f"send an object, or a list of {count} values")
    files = [_file_dictionary(file, f"{position}.Files.{number}") for number, file in enumerate(record[-1])]
    # like upstream: a list of an older client is shorter, its first values mean the same
    return {**_named(JOB_ATTRIBUTES, record[:-1]), "Files": files}


def _file_dictionary(record: Any, position: str) -> Any:
    if not isinstance(record, list):
        return record
    if not record:
        raise InvalidInput("empty", field=position, remedy=f"send a list of {len(FILE_ATTRIBUTES) + 1} values")
    return _named(FILE_ATTRIBUTES, record)


def _named(names: tuple[str, ...], values: list[Any]) -> dict[str, Any]:
    pairs = zip(names, values, strict=False)
    return {name: value for name, value in pairs if not (isinstance(value, dict) and _TIME_MARK in value)}
