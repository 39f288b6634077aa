"""Which properties of a resource make it anew when they change, where no engine is there to say it.

As of pulumi-aws 7.51.1. A test holds the table against that of the local cloud's plugins, which the engine asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TABLE = """
aws:acm/certificate:Certificate domainName subjectAlternativeNames validationMethod keyAlgorithm
aws:acm/certificateValidation:CertificateValidation certificateArn validationRecordFqdns
aws:appautoscaling/policy:Policy name resourceId scalableDimension serviceNamespace
aws:appautoscaling/target:Target resourceId scalableDimension serviceNamespace roleArn
aws:autoscaling/group:Group name namePrefix
aws:cloudfront/originAccessControl:OriginAccessControl name
aws:cloudwatch/compositeAlarm:CompositeAlarm alarmName actionsEnabled
aws:cloudwatch/dashboard:Dashboard dashboardName
aws:cloudwatch/eventBus:EventBus name eventSourceName
aws:cloudwatch/eventRule:EventRule name namePrefix eventBusName
aws:cloudwatch/eventTarget:EventTarget targetId rule eventBusName
aws:cloudwatch/logGroup:LogGroup name namePrefix logGroupClass
aws:cloudwatch/logMetricFilter:LogMetricFilter name logGroupName
aws:cloudwatch/logStream:LogStream name logGroupName
aws:cloudwatch/metricAlarm:MetricAlarm name
aws:dynamodb/table:Table name hashKey rangeKey localSecondaryIndexes
aws:ec2/defaultSecurityGroup:DefaultSecurityGroup vpcId
aws:ec2/eip:Eip domain networkBorderGroup publicIpv4Pool address
aws:ec2/flowLog:FlowLog vpcId subnetId eniId trafficType iamRoleArn logDestination logDestinationType logFormat
    maxAggregationInterval
aws:ec2/keyPair:KeyPair keyName keyNamePrefix publicKey
aws:ec2/launchTemplate:LaunchTemplate name namePrefix
aws:ec2/natGateway:NatGateway subnetId allocationId connectivityType privateIp
aws:ec2/networkAcl:NetworkAcl vpcId
aws:ec2/route:Route routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId
aws:ec2/routeTable:RouteTable vpcId
aws:ec2/routeTableAssociation:RouteTableAssociation subnetId gatewayId
aws:ec2/securityGroup:SecurityGroup name namePrefix description vpcId
aws:ec2/securityGroupRule:SecurityGroupRule securityGroupId type protocol fromPort toPort cidrBlocks ipv6CidrBlocks
    prefixListIds self sourceSecurityGroupId
aws:ec2/subnet:Subnet vpcId cidrBlock ipv6CidrBlock availabilityZone availabilityZoneId
aws:ec2/vpc:Vpc cidrBlock instanceTenancy assignGeneratedIpv6CidrBlock
aws:ec2/vpcEndpoint:VpcEndpoint vpcId serviceName vpcEndpointType
aws:ecr/lifecyclePolicy:LifecyclePolicy repository
aws:ecr/repository:Repository name encryptionConfigurations
aws:ecr/repositoryPolicy:RepositoryPolicy repository
aws:ecs/capacityProvider:CapacityProvider name autoScalingGroupProvider.autoScalingGroupArn
aws:ecs/cluster:Cluster name
aws:ecs/clusterCapacityProviders:ClusterCapacityProviders clusterName
aws:ecs/service:Service name cluster launchType capacityProviderStrategies deploymentController schedulingStrategy
    serviceRegistries iamRole
aws:ecs/taskDefinition:TaskDefinition family containerDefinitions cpu memory networkMode requiresCompatibilities
    executionRoleArn taskRoleArn ipcMode pidMode enableFaultInjection ephemeralStorage runtimePlatform
    placementConstraints volumes
aws:iam/group:Group name path
aws:iam/instanceProfile:InstanceProfile name namePrefix path
aws:iam/openIdConnectProvider:OpenIdConnectProvider url
aws:iam/policy:Policy name namePrefix path description
aws:iam/role:Role name namePrefix path
aws:iam/rolePolicy:RolePolicy name namePrefix role
aws:iam/rolePolicyAttachment:RolePolicyAttachment role policyArn
aws:kms/alias:Alias name namePrefix
aws:kms/key:Key keyUsage customerMasterKeySpec multiRegion
aws:lambda/alias:Alias name functionName
aws:lambda/eventSourceMapping:EventSourceMapping eventSourceArn
aws:lambda/function:Function name packageType
aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig functionName
aws:lambda/permission:Permission statementId statementIdPrefix action function principal qualifier sourceArn
    sourceAccount principalOrgId eventSourceToken
aws:lb/listener:Listener loadBalancerArn
aws:lb/listenerCertificate:ListenerCertificate listenerArn certificateArn
aws:lb/listenerRule:ListenerRule listenerArn
aws:lb/loadBalancer:LoadBalancer name namePrefix internal loadBalancerType
aws:lb/targetGroup:TargetGroup name namePrefix port protocol protocolVersion vpcId targetType ipAddressType
aws:rds/instance:Instance identifierPrefix engine storageEncrypted kmsKeyId dbName username availabilityZone
aws:rds/subnetGroup:SubnetGroup name namePrefix
aws:route53/record:Record zoneId name setIdentifier
aws:route53/zone:Zone name
aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock accountId
aws:s3/bucket:Bucket bucket bucketPrefix objectLockEnabled
aws:s3/bucketCorsConfiguration:BucketCorsConfiguration bucket
aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration bucket
aws:s3/bucketLogging:BucketLogging bucket
aws:s3/bucketNotification:BucketNotification bucket
aws:s3/bucketObject:BucketObject bucket key
aws:s3/bucketObjectv2:BucketObjectv2 bucket key
aws:s3/bucketOwnershipControls:BucketOwnershipControls bucket
aws:s3/bucketPolicy:BucketPolicy bucket
aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock bucket
aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration bucket
aws:s3/bucketVersioning:BucketVersioning bucket
aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration bucket
aws:scheduler/schedule:Schedule name namePrefix groupName
aws:scheduler/scheduleGroup:ScheduleGroup name namePrefix
aws:secretsmanager/secret:Secret name namePrefix
aws:secretsmanager/secretPolicy:SecretPolicy secretArn
aws:secretsmanager/secretVersion:SecretVersion secretId secretString secretBinary
aws:ses/emailIdentity:EmailIdentity email
aws:sesv2/emailIdentity:EmailIdentity emailIdentity
aws:sfn/activity:Activity name
aws:sfn/alias:Alias name
aws:sfn/stateMachine:StateMachine name namePrefix type
aws:sns/topic:Topic name namePrefix fifoTopic
aws:sns/topicPolicy:TopicPolicy arn
aws:sns/topicSubscription:TopicSubscription topic endpoint protocol
aws:sqs/queue:Queue name namePrefix fifoQueue
aws:sqs/queuePolicy:QueuePolicy queueUrl
aws:sqs/redriveAllowPolicy:RedriveAllowPolicy queueUrl
aws:sqs/redrivePolicy:RedrivePolicy queueUrl
aws:ssm/parameter:Parameter name dataType
aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule securityGroupId
aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule securityGroupId
"""
"""Type, then its properties; `a.b` is one of an object. A line that is indented goes on with the one before."""


def _read(text: str) -> dict[str, frozenset[str]]:
    lines = text.replace("\n    ", " ").strip().splitlines()
    return {type_: frozenset(rest) for type_, *rest in map(str.split, lines)}


REPLACING: Mapping[str, frozenset[str]] = _read(TABLE)


def forcing(type_: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The properties that change and make a resource anew."""
    properties = REPLACING.get(type_, frozenset())
    return sorted({path.split(".")[0] for path in properties if _at(old, path) != _at(new, path)})


def _at(inputs: Any, path: str) -> Any:
    for name in path.split("."):
        inputs = inputs.get(name) if isinstance(inputs, Mapping) else None
    return inputs
