"""The patches of the services that other people's programs use."""

from __future__ import annotations

import json

import pytest

from localcloud.server import Server

ALLOW = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}


def test_a_queue_keeps_its_policy_when_something_else_is_set(server: Server) -> None:
    sqs = server.client("sqs")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW]})
    allow = json.dumps({"redrivePermission": "denyAll"})
    url = sqs.create_queue(QueueName="q", Attributes={"Policy": policy})["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedriveAllowPolicy": allow})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "3"})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(found["Policy"])["Statement"] and found["DelaySeconds"] == "3"
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedriveAllowPolicy"])["Attributes"] == {
        "RedriveAllowPolicy": allow
    }
    assert found["RedriveAllowPolicy"] == allow
    arn = found["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3}, separators=(",", ":"))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": redrive})
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    assert asked["Attributes"]["RedrivePolicy"] == redrive


def test_certificates_are_issued_at_once(server: Server) -> None:
    acm = server.client("acm")
    arn = acm.request_certificate(DomainName="a.example", ValidationMethod="DNS")["CertificateArn"]
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"


def test_a_metric_filter_is_changed_not_added(server: Server) -> None:
    logs = server.client("logs")
    logs.create_log_group(logGroupName="g")
    for pattern in ("A", "B"):
        made = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
        logs.put_metric_filter(logGroupName="g", filterName="f", filterPattern=pattern, metricTransformations=[made])
    assert [f["filterPattern"] for f in logs.describe_metric_filters(logGroupName="g")["metricFilters"]] == ["B"]


def test_that_events_go_to_eventbridge_is_answered(server: Server) -> None:
    s3, bucket = server.client("s3"), f"notified-{server.account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["EventBridgeConfiguration"] == {}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_a_launch_templates_tags_are_its_own(server: Server) -> None:
    ec2 = server.client("ec2")
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "1"}]}]
    made = ec2.create_launch_template(
        LaunchTemplateName="t", LaunchTemplateData={"InstanceType": "t3.micro"}, TagSpecifications=tags
    )["LaunchTemplate"]["LaunchTemplateId"]
    ec2.create_tags(Resources=[made], Tags=[{"Key": "b", "Value": "2"}])
    data = ec2.describe_launch_template_versions(LaunchTemplateId=made)["LaunchTemplateVersions"][0]
    assert "TagSpecifications" not in data["LaunchTemplateData"]
    found = ec2.describe_launch_templates(LaunchTemplateIds=[made])["LaunchTemplates"][0]["Tags"]
    assert {tag["Key"] for tag in found} == {"a", "b"}


def test_the_clients_of_an_identity_provider_change(server: Server) -> None:
    iam = server.client("iam")
    arn = iam.create_open_id_connect_provider(Url="https://t.example", ClientIDList=["a"])["OpenIDConnectProviderArn"]
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["b"]


def test_a_distribution_keeps_its_configuration_and_has_an_address_here(server: Server) -> None:
    cloudfront = server.client("cloudfront")
    methods = {"Quantity": 2, "Items": ["GET", "HEAD"]}
    control = cloudfront.create_origin_access_control(
        OriginAccessControlConfig={
            "Name": "c", "SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3",
        }
    )["OriginAccessControl"]["Id"]  # fmt: skip
    config = {
        "CallerReference": "x", "Comment": "", "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [
            {"Id": "o", "DomainName": "b.s3.eu-west-1.localhost:1", "OriginAccessControlId": control,
             "S3OriginConfig": {"OriginAccessIdentity": ""}}]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "CachePolicyId": "658327ea",
            "AllowedMethods": {**methods, "CachedMethods": methods}},
    }  # fmt: skip
    made = cloudfront.create_distribution(DistributionConfig=config)["Distribution"]
    assert ".cloudfront.localhost:" in made["DomainName"]
    kept = cloudfront.get_distribution_config(Id=made["Id"])["DistributionConfig"]
    assert kept["Origins"]["Items"][0]["OriginAccessControlId"] == control
    assert kept["DefaultCacheBehavior"]["CachePolicyId"] == "658327ea"
    summary = cloudfront.list_distributions()["DistributionList"]["Items"][0]
    assert summary["DomainName"] == made["DomainName"]


def test_a_listener_keeps_its_further_certificates(server: Server) -> None:
    ec2, elbv2, acm = server.client("ec2"), server.client("elbv2"), server.client("acm")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]
    balancer = elbv2.create_load_balancer(Name="b", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    one, two, three = (acm.request_certificate(DomainName=f"{name}.example")["CertificateArn"] for name in "abc")
    answer = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": one}],
        DefaultActions=answer,
    )["Listeners"][0]["ListenerArn"]  # fmt: skip
    elbv2.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": two}])
    elbv2.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": three}])
    found = elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert [(each["CertificateArn"], each["IsDefault"]) for each in found] == [(three, True), (two, False)]


def test_a_user_who_is_renamed_keeps_tags_and_keys_and_takes_nobodys_name(server: Server) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="anna", Tags=[{"Key": "a", "Value": "1"}])
    iam.create_user(UserName="ben")
    key = iam.create_access_key(UserName="anna")["AccessKey"]["AccessKeyId"]
    iam.update_user(UserName="anna", NewUserName="anna-b", NewPath="/p/")
    assert iam.get_user(UserName="anna-b")["User"]["Arn"].endswith("user/p/anna-b")
    assert iam.list_user_tags(UserName="anna-b")["Tags"] == [{"Key": "a", "Value": "1"}]
    (listed,) = iam.list_access_keys(UserName="anna-b")["AccessKeyMetadata"]
    assert (listed["AccessKeyId"], listed["UserName"]) == (key, "anna-b")
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.update_user(UserName="ben", NewUserName="anna-b")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.update_user(UserName="anna", NewUserName="carla")
    assert {user["UserName"] for user in iam.list_users()["Users"]} == {"anna-b", "ben"}


def test_a_tables_class_and_encryption_can_be_changed(server: Server) -> None:
    dynamodb = server.client("dynamodb")
    dynamodb.create_table(
        TableName="t", BillingMode="PAY_PER_REQUEST", TableClass="STANDARD_INFREQUENT_ACCESS",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    table = dynamodb.describe_table(TableName="t")["Table"]
    assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS" and "SSEDescription" not in table
    dynamodb.update_table(TableName="t", TableClass="STANDARD", SSESpecification={"Enabled": True})
    table = dynamodb.describe_table(TableName="t")["Table"]
    assert table["TableClassSummary"]["TableClass"] == "STANDARD"
    assert table["SSEDescription"]["Status"] == "ENABLED" and ":key/" in table["SSEDescription"]["KMSMasterKeyArn"]
