"""Lambda: functions, who may invoke them, and what does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcloud.plugins.archives import BadArchive, zipped
from localcloud.plugins.refusals import Refused
from localcloud.plugins.resource import Autoname, Cloud, HalfCreated, Resource, resource_type
from localcloud.plugins.tags import Tagging
from localcloud.plugins.values import NO_FILES, UNKNOWN, Props

_TAGGING = Tagging(pairs=None, list="list_tags", resource="Resource")
_CODE = frozenset({"code", "s3Bucket", "s3Key", "s3ObjectVersion", "sourceCodeHash", "architectures"})
_APART = frozenset({"tags", "tagsAll", "publish", "reservedConcurrentExecutions", "skipDestroy"})


@resource_type
class Function(Resource):
    """A function; its id is its name. Code is a zip: an archive of files or folders, or an object in S3."""

    token = "aws:lambda/function:Function"
    service = "lambda"
    table = """
        name ^ =FunctionName
        code archive =-
        s3Bucket =-
        s3Key =-
        s3ObjectVersion =-
        sourceCodeHash ? =-
        role !
        handler
        runtime
        description
        memorySize int default:128
        timeout int default:3
        packageType ^ default:Zip
        architectures list ?
        environment object
            variables map
        deadLetterConfig object
            targetArn !
        ephemeralStorage object ?
            size int default:512
        loggingConfig object ?
            logFormat ! default:Text
            logGroup ?
        tracingConfig object ?
            mode !
        vpcConfig object
            subnetIds set !
            securityGroupIds set !
        kmsKeyArn =KMSKeyArn
        publish bool default:false =-
        reservedConcurrentExecutions int default:-1 =-
        skipDestroy bool default:false =-
        arn ~ =FunctionArn
        codeSha256 ~ =CodeSha256
        invokeArn ~ =-
        lastModified ~
        qualifiedArn ~ =-
        qualifiedInvokeArn ~ =-
        responseStreamingInvokeArn ~ =-
        signingJobArn ~
        signingProfileVersionArn ~
        sourceCodeSize int ~ =CodeSize
        version ~
    """
    tagging = _TAGGING
    autoname = Autoname(limit=64, forbidden=r"[^A-Za-z0-9_-]")
    recomputed = frozenset(
        {"lastModified", "codeSha256", "sourceCodeSize", "version", "qualifiedArn", "qualifiedInvokeArn"}
    )

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        problems = []
        sources = [name for name in ("code", "s3Bucket") if inputs.get(name) is not None]
        if len(sources) != 1:
            problems.append(("code", "one of 'code' and 's3Bucket' must be given"))
        if "s3Bucket" in sources and inputs.get("s3Key") is None:
            problems.append(("s3Key", "'s3Key' must be given with 's3Bucket'"))
        if inputs.get("packageType") not in (None, "Zip", UNKNOWN):
            problems.append(("packageType", "the local cloud runs functions of zip packages only ('Zip')"))
        needed = [name for name in ("handler", "runtime") if inputs.get(name) is None]
        return problems + [(name, f"'{name}' must be given for a function of a zip package") for name in needed]

    def derived(self, cloud: Cloud, props: Props) -> Props:
        arn = cloud.arn("lambda", f"function:{props['name']}")
        streaming = f"arn:aws:apigateway:{cloud.region}:lambda:path/2021-11-15/functions/{arn}"
        known = {"arn": arn, "invokeArn": _invoke_arn(cloud, arn), "signingJobArn": "", "signingProfileVersionArn": "",
                 "responseStreamingInvokeArn": f"{streaming}/response-streaming-invocations"}  # fmt: skip
        version = props.get("version")
        if isinstance(version, str):
            qualified = f"{arn}:{version}"
            known |= {"qualifiedArn": qualified, "qualifiedInvokeArn": _invoke_arn(cloud, qualified)}
        return known

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        code = self._code(cloud, inputs)
        arguments = {**self.arguments(cloud, inputs), **self.creating_tags(cloud, inputs)}
        self.call(cloud, "create_function", Code=code, Publish=bool(inputs.get("publish")), **arguments)
        name = inputs["name"]
        try:
            self._reserve(cloud, name, inputs)
        except Exception as error:
            raise HalfCreated(name, self.read(cloud, name, {}) or {}, str(error)) from error
        live = self.read(cloud, name, {}) or {}
        return name, {**live, **self._version(cloud, name, inputs)}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        described = self.call(cloud, "get_function", FunctionName=identifier)
        live = self.live(cloud, described["Configuration"])
        reserved = (described.get("Concurrency") or {}).get("ReservedConcurrentExecutions")
        if reserved is None:
            answer = self.call(cloud, "get_function_concurrency", FunctionName=identifier)
            reserved = answer.get("ReservedConcurrentExecutions")
        live["reservedConcurrentExecutions"] = -1.0 if reserved is None else float(reserved)
        live["tagsAll"] = dict(described.get("Tags") or {})
        live["arn"] = cloud.arn("lambda", f"function:{identifier}")
        if props:
            live |= self._version(cloud, identifier, props)
        if props.get("codeSha256") not in (None, live["codeSha256"]):  # somebody else has put other code there
            live |= {"code": dict(NO_FILES)} if props.get("code") is not None else {"s3Key": ""}
        return live

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        nothing: Props = {"description": "", "kmsKeyArn": ""}  # so that a removal is seen
        live = {**nothing, **super().live(cloud, described)}
        live.setdefault("environment", {"variables": {}})
        live["signingJobArn"] = live["signingProfileVersionArn"] = ""
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - _CODE - _APART:
            arguments = self.arguments(cloud, new, updating=True)
            for name in ("PackageType", "Architectures"):
                arguments.pop(name, None)
            # What is left out would stay as it is.
            nothing: Props = {"Description": "", "Environment": {"Variables": {}}, "KMSKeyArn": "",
                              "DeadLetterConfig": {"TargetArn": ""}, "MemorySize": 128, "Timeout": 3}  # fmt: skip
            if old.get("vpcConfig"):
                nothing["VpcConfig"] = {"SubnetIds": [], "SecurityGroupIds": []}
            self.call(cloud, "update_function_configuration", **{**nothing, **arguments, "FunctionName": identifier})
        if changed & _CODE:
            platform = {"Architectures": new["architectures"]} if new.get("architectures") else {}
            self.call(cloud, "update_function_code", FunctionName=identifier, **self._code(cloud, new), **platform)
        if "reservedConcurrentExecutions" in changed:
            self._reserve(cloud, identifier, new, before=old)
        if new.get("publish") and changed - _APART | changed & {"publish"}:
            self.call(cloud, "publish_version", FunctionName=identifier)
        live = self.read(cloud, identifier, {}) or {}
        kept = {name: live[name] for name in self.recomputed if name in live}
        return {**kept, **self._version(cloud, identifier, new)}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        if not props.get("skipDestroy"):
            self.call(cloud, "delete_function", FunctionName=identifier)

    def _code(self, cloud: Cloud, inputs: Props) -> dict[str, Any]:
        if inputs.get("code") is not None:
            try:
                return {"ZipFile": zipped(inputs["code"], cloud.directory)}
            except BadArchive as error:
                raise Refused(f"the code of function {inputs['name']!r} cannot be packed: {error}") from error
        version = {"S3ObjectVersion": inputs["s3ObjectVersion"]} if inputs.get("s3ObjectVersion") else {}
        return {"S3Bucket": inputs["s3Bucket"], "S3Key": inputs["s3Key"], **version}

    def _reserve(self, cloud: Cloud, name: str, inputs: Props, before: Props | None = None) -> None:
        wanted = inputs.get("reservedConcurrentExecutions")
        if wanted is not None and wanted >= 0:
            self.call(cloud, "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=int(wanted))
        elif before is not None:
            self.call(cloud, "delete_function_concurrency", FunctionName=name)

    def _version(self, cloud: Cloud, name: str, props: Props) -> Props:
        """The newest version; `$LATEST` where none is to be published."""
        if not props.get("publish"):
            version = "$LATEST"
        else:
            versions = self.all(cloud, "list_versions_by_function", "Versions", FunctionName=name)
            version = max((each["Version"] for each in versions), key=lambda text: int(text) if text.isdecimal() else 0)
        arn = f"{cloud.arn('lambda', f'function:{name}')}:{version}"
        return {"version": version, "qualifiedArn": arn, "qualifiedInvokeArn": _invoke_arn(cloud, arn)}


def _invoke_arn(cloud: Cloud, arn: str) -> str:
    return f"arn:aws:apigateway:{cloud.region}:lambda:path/2015-03-31/functions/{arn}/invocations"


@resource_type
class Permission(Resource):
    """One statement of a function's policy: who may invoke it; its id is the statement's id."""

    token = "aws:lambda/permission:Permission"
    service = "lambda"
    table = """
        statementId ^
        statementIdPrefix ^ =-
        action ! ^
        function ! ^ =FunctionName
        principal ! ^
        qualifier ^
        sourceArn ^
        sourceAccount ^
        principalOrgId ^ =PrincipalOrgID
        eventSourceToken ^
    """
    autoname = Autoname("statementId", 100, forbidden=r"[^A-Za-z0-9_-]", prefix="statementIdPrefix")

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self.call(cloud, "add_permission", **self.arguments(cloud, inputs))
        return inputs["statementId"], {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        function, qualifier, statement_id = self._place(identifier, props)
        answer = self.call(cloud, "get_policy", FunctionName=function, **_qualified(qualifier))
        statements = json.loads(answer["Policy"])["Statement"]
        statement = next((each for each in statements if each.get("Sid") == statement_id), None)
        if statement is None:
            return None
        return {**_of_statement(statement), "function": function, "statementId": statement_id, **(
            {"qualifier": qualifier} if qualifier else {})}  # fmt: skip

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        function, qualifier, statement_id = self._place(identifier, props)
        self.call(cloud, "remove_permission", FunctionName=function, StatementId=statement_id, **_qualified(qualifier))

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        if "/" not in identifier:
            raise Refused(
                f"the id to import must be function/statement or function:qualifier/statement, not {identifier}"
            )
        return identifier

    def _place(self, identifier: str, props: Props) -> tuple[str, str, str]:
        if props.get("function"):
            return str(props["function"]), str(props.get("qualifier") or ""), str(props["statementId"])
        function, _, statement_id = identifier.partition("/")
        name, _, qualifier = function.partition(":")
        return name, qualifier, statement_id


def _qualified(qualifier: str) -> dict[str, str]:
    return {"Qualifier": qualifier} if qualifier else {}


def _of_statement(statement: Mapping[str, Any]) -> Props:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = principal.get("Service") or principal.get("AWS")
    conditions = {
        key.lower(): value for block in (statement.get("Condition") or {}).values() for key, value in block.items()
    }
    permission = {
        "action": statement.get("Action"),
        "principal": principal,
        "sourceArn": conditions.get("aws:sourcearn"),
        "sourceAccount": conditions.get("aws:sourceaccount"),
        "principalOrgId": conditions.get("aws:principalorgid"),
    }
    return {name: value for name, value in permission.items() if value is not None}


@resource_type
class Alias(Resource):
    """A name for a version of a function; its id is its ARN."""

    token = "aws:lambda/alias:Alias"
    service = "lambda"
    table = """
        name ^
        functionName ! ^
        functionVersion !
        description
        arn ~ =AliasArn
        invokeArn ~ =-
    """
    autoname = Autoname(limit=128, forbidden=r"[^A-Za-z0-9_-]")
    create_call, identifier, update_call = "create_alias", "AliasArn", "update_alias"

    def derived(self, cloud: Cloud, props: Props) -> Props:
        function = props["functionName"]
        if not isinstance(function, str):
            return {}
        arn = cloud.arn("lambda", f"function:{_name(function)}:{props['name']}")
        return {"arn": arn, "invokeArn": _invoke_arn(cloud, arn)}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        function, _, name = identifier.partition("function:")[2].partition(":")
        described = self.call(cloud, "get_alias", FunctionName=function, Name=name)
        live = {"description": "", **self.live(cloud, described)}
        return {**live, "functionName": props.get("functionName") or function}

    def key(self, argument: str, identifier: str, props: Props) -> dict[str, Any]:
        function, _, name = identifier.partition("function:")[2].partition(":")
        return {"FunctionName": function, "Name": name}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        arguments = {"FunctionVersion": new["functionVersion"], "Description": new.get("description") or ""}
        self.call(cloud, "update_alias", **self.key("", identifier, old), **arguments)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_alias", **self.key("", identifier, props))

    def import_id(self, cloud: Cloud, identifier: str) -> str:
        function, slash, name = identifier.partition("/")
        if not slash:
            raise Refused(f"the id to import must be function/alias, not {identifier!r}")
        return cloud.arn("lambda", f"function:{function}:{name}")


def _name(function: str) -> str:
    """A function's name, from a name or an ARN."""
    return (function.partition("function:")[2] or function).partition(":")[0]


@resource_type
class EventSourceMapping(Resource):
    """A queue whose messages invoke a function; its id is its UUID."""

    token = "aws:lambda/eventSourceMapping:EventSourceMapping"
    service = "lambda"
    table = """
        eventSourceArn ^
        functionName !
        batchSize int ?
        enabled bool default:true
        functionResponseTypes set
        maximumBatchingWindowInSeconds int default:0
        scalingConfig object
            maximumConcurrency int
        arn ~ =EventSourceMappingArn
        functionArn ~
        lastModified ~
        lastProcessingResult ~
        state ~
        stateTransitionReason ~
        uuid ~ =UUID
    """
    tagging = _TAGGING
    create_call, identifier = "create_event_source_mapping", "UUID"
    read_call, read_key = "get_event_source_mapping", "UUID"
    update_call, delete_call = "update_event_source_mapping", "delete_event_source_mapping"
    recomputed = frozenset({"lastModified", "state", "functionArn"})

    def validate(self, inputs: Props) -> list[tuple[str, str]]:
        source = inputs.get("eventSourceArn")
        if source is None:
            return [("eventSourceArn", "'eventSourceArn' must be given: the local cloud polls SQS queues only")]
        if isinstance(source, str) and source.split(":")[2:3] != ["sqs"]:
            return [("eventSourceArn", f"the local cloud polls SQS queues only, not {source}")]
        return []

    def arguments(self, cloud: Cloud, inputs: Props, updating: bool = False) -> Props:
        arguments = super().arguments(cloud, inputs)
        if updating:
            arguments.pop("EventSourceArn", None)
            nothing: Props = {"FunctionResponseTypes": [], "ScalingConfig": {}, "Enabled": True, "BatchSize": 10}
            arguments = {**nothing, "MaximumBatchingWindowInSeconds": 0, **arguments}
        return arguments

    def live(self, cloud: Cloud, described: Mapping[str, Any]) -> Props:
        live = {"lastProcessingResult": "", "functionResponseTypes": [], **super().live(cloud, described)}
        return {**live, "enabled": described.get("State") == "Enabled"}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        live = super().read(cloud, identifier, props)
        if (
            live is not None
            and not props
            or live is not None
            and _name(str(props.get("functionName"))) != _name(live["functionArn"])
        ):
            live["functionName"] = live["functionArn"]
        return live

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        super().update(cloud, identifier, old, new, changed)
        live = self.read(cloud, identifier, new) or {}
        return {name: live[name] for name in self.recomputed if name in live}


@resource_type
class FunctionEventInvokeConfig(Resource):
    """What becomes of a function's asynchronous events; its id is the function's name."""

    token = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
    service = "lambda"
    table = """
        functionName ! ^
        maximumEventAgeInSeconds int ?
        maximumRetryAttempts int default:2
        destinationConfig object
            onFailure object
                destination !
            onSuccess object
                destination !
    """

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        self._put(cloud, inputs)
        return inputs["functionName"], {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        described = self.call(cloud, "get_function_event_invoke_config", FunctionName=identifier)
        live = self.live(cloud, described)
        return {"maximumRetryAttempts": 2.0, **live, "functionName": identifier}

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        self._put(cloud, new)
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        self.call(cloud, "delete_function_event_invoke_config", FunctionName=identifier)

    def _put(self, cloud: Cloud, inputs: Props) -> None:
        self.call(cloud, "put_function_event_invoke_config", **self.arguments(cloud, inputs))
