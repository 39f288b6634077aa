"""What AWS's provider asks of IAM for each resource type and look-up of this project, with the properties in use: data.

One owner: the permissions of the deployment and of previews are made from it (`herd.bootstrap.grants`), and the tests
hold the types that the programs declare against it. Names are IAM's actions, which are not always the API's operations:
HeadBucket is `s3:ListBucket`, DeleteBucketEncryption is `s3:PutEncryptionConfiguration`. `on` is the kind of thing that
IAM checks a call on; `action@kind` is one that is checked on another kind.

Sources: terraform-provider-aws 6.x, internal/service/<file>, which pulumi-aws 7 wraps; the service authorization
reference for names and resources. From 6.23 on the provider asks for an S3 bucket's tags by s3:TagResource and its
siblings first. What was run: 5.100.0 against a server of our own, create and destroy of dev, 118 operations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Phase = str
PHASES = ("create", "read", "update", "delete")


@dataclass(frozen=True)
class Calls:
    """Of one resource type: actions, separated by spaces, for each thing that Pulumi does with it.

    Reading follows each creation and update. `delete` lists also what empties a thing first.
    """

    on: str
    source: str
    create: str
    read: str
    update: str = ""
    delete: str = ""

    def actions(self, *phases: Phase) -> Iterator[tuple[str, str]]:
        """Pairs of action and kind."""
        for phase in phases:
            for entry in getattr(self, phase).split():
                action, _, kind = entry.partition("@")
                yield action, kind or self.on


_TAGS_OF_EC2 = "ec2:CreateTags"
_UNTAG_EC2 = "ec2:CreateTags ec2:DeleteTags"
_RULES = "ec2:DescribeSecurityGroupRules ec2:DescribeSecurityGroups"
_ELB_TAGS = "elasticloadbalancing:AddTags elasticloadbalancing:RemoveTags"

TYPES: Mapping[str, Calls] = {
    "acm/certificate:Certificate": Calls(
        "certificates",
        "acm/certificate.go",
        create="acm:RequestCertificate acm:AddTagsToCertificate",
        read="acm:DescribeCertificate acm:ListTagsForCertificate",
        update="acm:UpdateCertificateOptions acm:AddTagsToCertificate acm:RemoveTagsFromCertificate",
        delete="acm:DeleteCertificate",
    ),
    "acm/certificateValidation:CertificateValidation": Calls(
        "certificates",
        "acm/certificate_validation.go",
        create="acm:DescribeCertificate",
        read="acm:DescribeCertificate",
    ),
    "appautoscaling/policy:Policy": Calls(
        "scaling",
        "appautoscaling/policy.go",
        create="application-autoscaling:PutScalingPolicy",
        read="application-autoscaling:DescribeScalingPolicies",
        update="application-autoscaling:PutScalingPolicy",
        delete="application-autoscaling:DeleteScalingPolicy",
    ),
    "appautoscaling/target:Target": Calls(
        "scaling",
        "appautoscaling/target.go",
        create="application-autoscaling:RegisterScalableTarget application-autoscaling:TagResource"
        " iam:CreateServiceLinkedRole@service-roles",
        read="application-autoscaling:DescribeScalableTargets application-autoscaling:ListTagsForResource",
        update="application-autoscaling:RegisterScalableTarget application-autoscaling:TagResource"
        " application-autoscaling:UntagResource",
        delete="application-autoscaling:DeregisterScalableTarget",
    ),
    "autoscaling/group:Group": Calls(
        "instance-groups",
        "autoscaling/group.go",
        create="autoscaling:CreateAutoScalingGroup autoscaling:CreateOrUpdateTags ec2:RunInstances@network"
        " ec2:CreateTags@network iam:CreateServiceLinkedRole@service-roles iam:PassRole@passed-roles"
        " autoscaling:EnableMetricsCollection",
        read="autoscaling:DescribeAutoScalingGroups@instance-group-lists"
        " autoscaling:DescribeScalingActivities@instance-group-lists"
        " ec2:DescribeLaunchTemplates@network ec2:DescribeLaunchTemplateVersions@network",
        update="autoscaling:UpdateAutoScalingGroup autoscaling:CreateOrUpdateTags autoscaling:DeleteTags"
        " autoscaling:SetInstanceProtection autoscaling:StartInstanceRefresh autoscaling:CancelInstanceRefresh"
        " autoscaling:DescribeInstanceRefreshes@instance-group-lists autoscaling:EnableMetricsCollection",
        delete="autoscaling:UpdateAutoScalingGroup autoscaling:SetInstanceProtection"
        " autoscaling:DeleteAutoScalingGroup",
    ),
    "cloudfront/distribution:Distribution": Calls(
        "cdn",
        "cloudfront/distribution.go",
        create="cloudfront:CreateDistribution cloudfront:TagResource",
        read="cloudfront:GetDistribution cloudfront:ListTagsForResource",
        update="cloudfront:UpdateDistribution cloudfront:TagResource cloudfront:UntagResource",
        delete="cloudfront:UpdateDistribution cloudfront:GetDistributionConfig cloudfront:DeleteDistribution",
    ),
    "cloudfront/originAccessControl:OriginAccessControl": Calls(
        "cdn",
        "cloudfront/origin_access_control.go",
        create="cloudfront:CreateOriginAccessControl",
        read="cloudfront:GetOriginAccessControl",
        update="cloudfront:UpdateOriginAccessControl",
        delete="cloudfront:DeleteOriginAccessControl",
    ),
    "cloudwatch/eventRule:EventRule": Calls(
        "event-rules",
        "events/rule.go",
        create="events:PutRule events:TagResource",
        read="events:DescribeRule events:ListTagsForResource",
        update="events:PutRule events:TagResource events:UntagResource",
        delete="events:DeleteRule",
    ),
    "cloudwatch/eventTarget:EventTarget": Calls(
        "event-rules",
        "events/target.go",
        create="events:PutTargets",
        read="events:ListTargetsByRule",
        update="events:PutTargets",
        delete="events:RemoveTargets",
    ),
    "cloudwatch/metricAlarm:MetricAlarm": Calls(
        "alarms",
        "cloudwatch/metric_alarm.go",
        create="cloudwatch:PutMetricAlarm cloudwatch:TagResource",
        read="cloudwatch:DescribeAlarms@alarm-lists cloudwatch:ListTagsForResource",
        update="cloudwatch:PutMetricAlarm cloudwatch:TagResource cloudwatch:UntagResource",
        delete="cloudwatch:DeleteAlarms",
    ),
    "cloudwatch/logGroup:LogGroup": Calls(
        "log-groups",
        "logs/group.go",
        create="logs:CreateLogGroup logs:TagResource logs:PutRetentionPolicy",
        read="logs:DescribeLogGroups@log-group-lists logs:ListTagsForResource",
        update="logs:PutRetentionPolicy logs:DeleteRetentionPolicy logs:AssociateKmsKey logs:DisassociateKmsKey"
        " logs:TagResource logs:UntagResource",
        delete="logs:DeleteLogGroup",
    ),
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": Calls(
        "network",
        "ec2/vpc_default_security_group.go",
        create="ec2:RevokeSecurityGroupIngress ec2:RevokeSecurityGroupEgress ec2:CreateTags",
        read="ec2:DescribeSecurityGroups",
        update="ec2:RevokeSecurityGroupIngress ec2:RevokeSecurityGroupEgress ec2:AuthorizeSecurityGroupIngress"
        f" ec2:AuthorizeSecurityGroupEgress {_UNTAG_EC2}",
    ),
    "ec2/eip:Eip": Calls(
        "network",
        "ec2/ec2_eip.go",
        create=f"ec2:AllocateAddress {_TAGS_OF_EC2}",
        read="ec2:DescribeAddresses ec2:DescribeAddressesAttribute",
        update=f"ec2:AssociateAddress ec2:DisassociateAddress {_UNTAG_EC2}",
        delete="ec2:DisassociateAddress ec2:ReleaseAddress",
    ),
    "ec2/flowLog:FlowLog": Calls(
        "network",
        "ec2/vpc_flow_log.go",
        create=f"ec2:CreateFlowLogs logs:CreateLogDelivery {_TAGS_OF_EC2} iam:PassRole@passed-roles",
        read="ec2:DescribeFlowLogs",
        update=_UNTAG_EC2,
        delete="ec2:DeleteFlowLogs logs:DeleteLogDelivery",
    ),
    "ec2/internetGateway:InternetGateway": Calls(
        "network",
        "ec2/vpc_internet_gateway.go",
        create=f"ec2:CreateInternetGateway ec2:AttachInternetGateway {_TAGS_OF_EC2}",
        read="ec2:DescribeInternetGateways",
        update=f"ec2:AttachInternetGateway ec2:DetachInternetGateway {_UNTAG_EC2}",
        delete="ec2:DetachInternetGateway ec2:DeleteInternetGateway",
    ),
    "ec2/launchTemplate:LaunchTemplate": Calls(
        "network",
        "ec2/ec2_launch_template.go",
        create=f"ec2:CreateLaunchTemplate {_TAGS_OF_EC2} iam:PassRole@passed-roles",
        read="ec2:DescribeLaunchTemplates ec2:DescribeLaunchTemplateVersions",
        update="ec2:CreateLaunchTemplateVersion ec2:DeleteLaunchTemplateVersions ec2:ModifyLaunchTemplate"
        f" {_UNTAG_EC2} iam:PassRole@passed-roles",
        delete="ec2:DeleteLaunchTemplate",
    ),
    "ec2/natGateway:NatGateway": Calls(
        "network",
        "ec2/vpc_nat_gateway.go",
        create=f"ec2:CreateNatGateway {_TAGS_OF_EC2}",
        read="ec2:DescribeNatGateways",
        update=_UNTAG_EC2,
        delete="ec2:DeleteNatGateway",
    ),
    "ec2/route:Route": Calls(
        "network",
        "ec2/vpc_route.go",
        create="ec2:CreateRoute",
        read="ec2:DescribeRouteTables",
        update="ec2:ReplaceRoute",
        delete="ec2:DeleteRoute",
    ),
    "ec2/routeTable:RouteTable": Calls(
        "network",
        "ec2/vpc_route_table.go",
        create=f"ec2:CreateRouteTable {_TAGS_OF_EC2}",
        read="ec2:DescribeRouteTables",
        update=f"ec2:CreateRoute ec2:ReplaceRoute ec2:DeleteRoute {_UNTAG_EC2}",
        delete="ec2:DisassociateRouteTable ec2:DeleteRouteTable",
    ),
    "ec2/routeTableAssociation:RouteTableAssociation": Calls(
        "network",
        "ec2/vpc_route_table_association.go",
        create="ec2:AssociateRouteTable",
        read="ec2:DescribeRouteTables",
        update="ec2:ReplaceRouteTableAssociation",
        delete="ec2:DisassociateRouteTable",
    ),
    "ec2/securityGroup:SecurityGroup": Calls(
        "network",
        "ec2/vpc_security_group.go",
        create=f"ec2:CreateSecurityGroup ec2:RevokeSecurityGroupEgress {_TAGS_OF_EC2}",
        read="ec2:DescribeSecurityGroups",
        update="ec2:AuthorizeSecurityGroupIngress ec2:AuthorizeSecurityGroupEgress ec2:RevokeSecurityGroupIngress"
        f" ec2:RevokeSecurityGroupEgress {_UNTAG_EC2}",
        delete="ec2:DescribeNetworkInterfaces ec2:DetachNetworkInterface ec2:DeleteNetworkInterface"
        " ec2:DescribeInstances ec2:DeleteSecurityGroup",
    ),
    "ec2/subnet:Subnet": Calls(
        "network",
        "ec2/vpc_subnet.go",
        create=f"ec2:CreateSubnet ec2:ModifySubnetAttribute {_TAGS_OF_EC2}",
        read="ec2:DescribeSubnets",
        update=f"ec2:ModifySubnetAttribute {_UNTAG_EC2}",
        delete="ec2:DescribeNetworkInterfaces ec2:DetachNetworkInterface ec2:DeleteNetworkInterface ec2:DeleteSubnet",
    ),
    "ec2/vpc:Vpc": Calls(
        "network",
        "ec2/vpc_.go",
        create=f"ec2:CreateVpc ec2:ModifyVpcAttribute {_TAGS_OF_EC2}",
        read="ec2:DescribeVpcs ec2:DescribeVpcAttribute ec2:DescribeNetworkAcls ec2:DescribeRouteTables"
        " ec2:DescribeSecurityGroups",
        update=f"ec2:ModifyVpcAttribute {_UNTAG_EC2}",
        delete="ec2:DeleteVpc",
    ),
    "ec2/vpcEndpoint:VpcEndpoint": Calls(
        "network",
        "ec2/vpc_endpoint.go",
        create=f"ec2:CreateVpcEndpoint {_TAGS_OF_EC2}",
        read="ec2:DescribeVpcEndpoints ec2:DescribePrefixLists",
        update=f"ec2:ModifyVpcEndpoint {_UNTAG_EC2}",
        delete="ec2:DeleteVpcEndpoints",
    ),
    "ecr/lifecyclePolicy:LifecyclePolicy": Calls(
        "repositories",
        "ecr/lifecycle_policy.go",
        create="ecr:PutLifecyclePolicy",
        read="ecr:GetLifecyclePolicy",
        update="ecr:PutLifecyclePolicy",
        delete="ecr:DeleteLifecyclePolicy",
    ),
    # A repository that is encrypted with a key is made by somebody who may grant ECR its use, and take that back.
    "ecr/repository:Repository": Calls(
        "repositories",
        "ecr/repository.go",
        create="ecr:CreateRepository ecr:TagResource kms:CreateGrant@keys kms:DescribeKey@keys",
        read="ecr:DescribeRepositories ecr:ListTagsForResource",
        update="ecr:PutImageTagMutability ecr:PutImageScanningConfiguration ecr:TagResource ecr:UntagResource",
        delete="ecr:DeleteRepository kms:RetireGrant@keys",
    ),
    "ecr/repositoryPolicy:RepositoryPolicy": Calls(
        "repositories",
        "ecr/repository_policy.go",
        create="ecr:SetRepositoryPolicy",
        read="ecr:GetRepositoryPolicy",
        update="ecr:SetRepositoryPolicy",
        delete="ecr:DeleteRepositoryPolicy",
    ),
    "ecs/capacityProvider:CapacityProvider": Calls(
        "ecs",
        "ecs/capacity_provider.go",
        create="ecs:CreateCapacityProvider@ecs-lists ecs:TagResource autoscaling:CreateOrUpdateTags@instance-groups",
        read="ecs:DescribeCapacityProviders",
        update="ecs:UpdateCapacityProvider ecs:TagResource ecs:UntagResource",
        delete="ecs:DeleteCapacityProvider",
    ),
    "ecs/cluster:Cluster": Calls(
        "ecs",
        "ecs/cluster.go",
        create="ecs:CreateCluster ecs:TagResource iam:CreateServiceLinkedRole@service-roles",
        read="ecs:DescribeClusters",
        update="ecs:UpdateCluster ecs:UpdateClusterSettings ecs:TagResource ecs:UntagResource",
        delete="ecs:DeleteCluster",
    ),
    "ecs/clusterCapacityProviders:ClusterCapacityProviders": Calls(
        "ecs",
        "ecs/cluster_capacity_providers.go",
        create="ecs:PutClusterCapacityProviders",
        read="ecs:DescribeClusters",
        update="ecs:PutClusterCapacityProviders",
        delete="ecs:PutClusterCapacityProviders",
    ),
    "ecs/service:Service": Calls(
        "ecs",
        "ecs/service.go",
        create="ecs:CreateService ecs:TagResource iam:CreateServiceLinkedRole@service-roles"
        " ecs:DescribeTaskDefinition@ecs-lists",
        read="ecs:DescribeServices ecs:ListTagsForResource ecs:DescribeTaskDefinition@ecs-lists"
        " ecs:ListServiceDeployments ecs:DescribeServiceDeployments@ecs-lists",
        update="ecs:UpdateService ecs:TagResource ecs:UntagResource",
        delete="ecs:UpdateService ecs:DeleteService",
    ),
    "ecs/taskDefinition:TaskDefinition": Calls(
        "ecs",
        "ecs/task_definition.go",
        create="ecs:RegisterTaskDefinition ecs:TagResource iam:PassRole@passed-roles",
        read="ecs:DescribeTaskDefinition@ecs-lists ecs:ListTagsForResource",
        update="ecs:TagResource ecs:UntagResource",
        delete="ecs:DeregisterTaskDefinition@ecs-lists",
    ),
    "iam/instanceProfile:InstanceProfile": Calls(
        "instance-profiles",
        "iam/instance_profile.go",
        create="iam:CreateInstanceProfile iam:TagInstanceProfile iam:AddRoleToInstanceProfile"
        " iam:PassRole@passed-roles",
        read="iam:GetInstanceProfile",
        update="iam:AddRoleToInstanceProfile iam:RemoveRoleFromInstanceProfile iam:TagInstanceProfile"
        " iam:UntagInstanceProfile",
        delete="iam:RemoveRoleFromInstanceProfile iam:DeleteInstanceProfile",
    ),
    "iam/role:Role": Calls(
        "roles",
        "iam/role.go",
        create="iam:CreateRole@bounded-roles iam:TagRole",
        read="iam:GetRole iam:ListRolePolicies iam:GetRolePolicy iam:ListAttachedRolePolicies",
        update="iam:UpdateAssumeRolePolicy iam:UpdateRole iam:UpdateRoleDescription iam:TagRole iam:UntagRole"
        " iam:PutRolePermissionsBoundary@bounded-roles",
        delete="iam:ListInstanceProfilesForRole iam:ListAttachedRolePolicies iam:ListRolePolicies"
        " iam:DetachRolePolicy@bounded-roles iam:DeleteRolePolicy@bounded-roles iam:DeleteRole",
    ),
    "iam/rolePolicy:RolePolicy": Calls(
        "roles",
        "iam/role_policy.go",
        create="iam:PutRolePolicy@bounded-roles",
        read="iam:GetRolePolicy",
        update="iam:PutRolePolicy@bounded-roles",
        delete="iam:DeleteRolePolicy@bounded-roles",
    ),
    "iam/rolePolicyAttachment:RolePolicyAttachment": Calls(
        "roles",
        "iam/role_policy_attachment.go",
        create="iam:AttachRolePolicy@bounded-roles",
        read="iam:ListAttachedRolePolicies",
        delete="iam:DetachRolePolicy@bounded-roles",
    ),
    "kms/alias:Alias": Calls(
        "keys",
        "kms/alias.go",
        create="kms:CreateAlias",
        read="kms:ListAliases@key-lists",
        update="kms:UpdateAlias",
        delete="kms:DeleteAlias",
    ),
    "kms/key:Key": Calls(
        "keys",
        "kms/key.go",
        create="kms:CreateKey@key-lists kms:PutKeyPolicy kms:EnableKeyRotation kms:TagResource",
        read="kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
        update="kms:UpdateKeyDescription kms:PutKeyPolicy kms:EnableKeyRotation kms:TagResource kms:UntagResource",
        delete="kms:ScheduleKeyDeletion",
    ),
    # Code goes up with the call itself; the role is handed over with it.
    "lambda/function:Function": Calls(
        "functions",
        "lambda/function.go",
        create="lambda:CreateFunction lambda:TagResource lambda:PutFunctionConcurrency iam:PassRole@passed-watch-role",
        read="lambda:GetFunction lambda:ListVersionsByFunction lambda:GetFunctionCodeSigningConfig"
        " lambda:ListTags lambda:GetFunctionConcurrency",
        update="lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration lambda:PutFunctionConcurrency"
        " lambda:DeleteFunctionConcurrency lambda:TagResource lambda:UntagResource iam:PassRole@passed-watch-role",
        delete="lambda:DeleteFunction",
    ),
    "lambda/permission:Permission": Calls(
        "functions",
        "lambda/permission.go",
        create="lambda:AddPermission",
        read="lambda:GetPolicy",
        delete="lambda:RemovePermission",
    ),
    "lb/listener:Listener": Calls(
        "balancing",
        "elbv2/listener.go",
        create="elasticloadbalancing:CreateListener elasticloadbalancing:AddTags",
        read="elasticloadbalancing:DescribeListeners elasticloadbalancing:DescribeListenerAttributes"
        " elasticloadbalancing:DescribeTags",
        update="elasticloadbalancing:ModifyListener elasticloadbalancing:ModifyListenerAttributes " + _ELB_TAGS,
        delete="elasticloadbalancing:DeleteListener",
    ),
    "lb/listenerRule:ListenerRule": Calls(
        "balancing",
        "elbv2/listener_rule.go",
        create="elasticloadbalancing:CreateRule elasticloadbalancing:AddTags elasticloadbalancing:DescribeRules",
        read="elasticloadbalancing:DescribeRules elasticloadbalancing:DescribeTags",
        update=f"elasticloadbalancing:ModifyRule elasticloadbalancing:SetRulePriorities {_ELB_TAGS}",
        delete="elasticloadbalancing:DeleteRule",
    ),
    "lb/loadBalancer:LoadBalancer": Calls(
        "balancing",
        "elbv2/load_balancer.go",
        create="elasticloadbalancing:CreateLoadBalancer elasticloadbalancing:AddTags"
        " elasticloadbalancing:ModifyLoadBalancerAttributes iam:CreateServiceLinkedRole@service-roles"
        " ec2:DescribeInternetGateways@network",
        read="elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeLoadBalancerAttributes"
        " elasticloadbalancing:DescribeCapacityReservation elasticloadbalancing:DescribeTags",
        update="elasticloadbalancing:ModifyLoadBalancerAttributes elasticloadbalancing:SetSecurityGroups"
        f" elasticloadbalancing:SetSubnets elasticloadbalancing:SetIpAddressType {_ELB_TAGS}",
        delete="elasticloadbalancing:DeleteLoadBalancer ec2:DescribeNetworkInterfaces@network",
    ),
    "lb/targetGroup:TargetGroup": Calls(
        "balancing",
        "elbv2/target_group.go",
        create="elasticloadbalancing:CreateTargetGroup elasticloadbalancing:AddTags"
        " elasticloadbalancing:ModifyTargetGroupAttributes",
        read="elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetGroupAttributes"
        " elasticloadbalancing:DescribeTags",
        update="elasticloadbalancing:ModifyTargetGroup elasticloadbalancing:ModifyTargetGroupAttributes " + _ELB_TAGS,
        delete="elasticloadbalancing:DeleteTargetGroup",
    ),
    "route53/record:Record": Calls(
        "zones",
        "route53/record.go",
        create="route53:GetHostedZone route53:ChangeResourceRecordSets route53:GetChange@dns-changes",
        read="route53:GetHostedZone route53:ListResourceRecordSets",
        update="route53:ChangeResourceRecordSets route53:GetChange@dns-changes",
        delete="route53:ChangeResourceRecordSets route53:GetChange@dns-changes",
    ),
    "s3/bucket:Bucket": Calls(
        "buckets",
        "s3/bucket.go",
        create="s3:CreateBucket s3:ListBucket s3:TagResource s3:PutBucketTagging",
        read="s3:ListBucket s3:GetBucketLocation s3:GetBucketPolicy s3:GetBucketAcl s3:GetBucketCORS"
        " s3:GetBucketWebsite s3:GetBucketVersioning s3:GetAccelerateConfiguration s3:GetBucketRequestPayment"
        " s3:GetBucketLogging s3:GetLifecycleConfiguration s3:GetReplicationConfiguration"
        " s3:GetEncryptionConfiguration s3:GetBucketObjectLockConfiguration s3:ListTagsForResource"
        " s3:GetBucketTagging",
        update="s3:TagResource s3:UntagResource s3:PutBucketTagging",
        delete="s3:ListBucketVersions s3:DeleteObject@objects s3:DeleteObjectVersion@objects s3:DeleteBucket",
    ),
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Calls(
        "buckets",
        "s3/bucket_lifecycle_configuration.go",
        create="s3:PutLifecycleConfiguration",
        read="s3:GetLifecycleConfiguration",
        update="s3:PutLifecycleConfiguration",
        delete="s3:PutLifecycleConfiguration",
    ),
    "s3/bucketLogging:BucketLogging": Calls(
        "buckets",
        "s3/bucket_logging.go",
        create="s3:PutBucketLogging",
        read="s3:GetBucketLogging",
        update="s3:PutBucketLogging",
        delete="s3:PutBucketLogging",
    ),
    "s3/bucketOwnershipControls:BucketOwnershipControls": Calls(
        "buckets",
        "s3/bucket_ownership_controls.go",
        create="s3:PutBucketOwnershipControls",
        read="s3:GetBucketOwnershipControls",
        update="s3:PutBucketOwnershipControls",
        delete="s3:PutBucketOwnershipControls",
    ),
    "s3/bucketPolicy:BucketPolicy": Calls(
        "buckets",
        "s3/bucket_policy.go",
        create="s3:PutBucketPolicy",
        read="s3:GetBucketPolicy",
        update="s3:PutBucketPolicy",
        delete="s3:DeleteBucketPolicy",
    ),
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Calls(
        "buckets",
        "s3/bucket_public_access_block.go",
        create="s3:PutBucketPublicAccessBlock",
        read="s3:GetBucketPublicAccessBlock",
        update="s3:PutBucketPublicAccessBlock",
        delete="s3:PutBucketPublicAccessBlock",
    ),
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Calls(
        "buckets",
        "s3/bucket_server_side_encryption_configuration.go",
        create="s3:PutEncryptionConfiguration",
        read="s3:GetEncryptionConfiguration",
        update="s3:PutEncryptionConfiguration",
        delete="s3:PutEncryptionConfiguration",
    ),
    "s3/bucketVersioning:BucketVersioning": Calls(
        "buckets",
        "s3/bucket_versioning.go",
        create="s3:PutBucketVersioning",
        read="s3:GetBucketVersioning",
        update="s3:PutBucketVersioning",
        delete="s3:PutBucketVersioning",
    ),
    "scheduler/schedule:Schedule": Calls(
        "schedules",
        "scheduler/schedule.go",
        create="scheduler:CreateSchedule iam:PassRole@passed-roles",
        read="scheduler:GetSchedule",
        update="scheduler:UpdateSchedule iam:PassRole@passed-roles",
        delete="scheduler:DeleteSchedule",
    ),
    "scheduler/scheduleGroup:ScheduleGroup": Calls(
        "schedules",
        "scheduler/schedule_group.go",
        create="scheduler:CreateScheduleGroup scheduler:TagResource",
        read="scheduler:GetScheduleGroup scheduler:ListTagsForResource",
        update="scheduler:TagResource scheduler:UntagResource",
        delete="scheduler:DeleteScheduleGroup scheduler:DeleteSchedule",
    ),
    # The definition is validated in every preview too (CustomizeDiff), so that is among what previews may.
    "sfn/stateMachine:StateMachine": Calls(
        "machines",
        "sfn/state_machine.go",
        create="states:CreateStateMachine states:TagResource iam:PassRole@passed-roles",
        read="states:ValidateStateMachineDefinition@all-machines states:DescribeStateMachine"
        " states:ListStateMachineVersions states:ListTagsForResource",
        update="states:UpdateStateMachine states:TagResource states:UntagResource iam:PassRole@passed-roles",
        delete="states:DeleteStateMachine",
    ),
    "sns/topic:Topic": Calls(
        "topics",
        "sns/topic.go",
        create="sns:CreateTopic sns:SetTopicAttributes sns:TagResource",
        read="sns:GetTopicAttributes sns:ListTagsForResource",
        update="sns:SetTopicAttributes sns:TagResource sns:UntagResource",
        delete="sns:DeleteTopic",
    ),
    "sns/topicSubscription:TopicSubscription": Calls(
        "topics",
        "sns/topic_subscription.go",
        create="sns:Subscribe",
        read="sns:GetSubscriptionAttributes sns:ListSubscriptionsByTopic",
        update="sns:SetSubscriptionAttributes",
        delete="sns:Unsubscribe",
    ),
    "sqs/queue:Queue": Calls(
        "queues",
        "sqs/queue.go",
        create="sqs:CreateQueue sqs:TagQueue",
        read="sqs:GetQueueAttributes sqs:ListQueueTags",
        update="sqs:SetQueueAttributes sqs:TagQueue sqs:UntagQueue",
        delete="sqs:DeleteQueue",
    ),
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": Calls(
        "network",
        "ec2/vpc_security_group_egress_rule.go",
        create=f"ec2:AuthorizeSecurityGroupEgress {_TAGS_OF_EC2}",
        read=_RULES,
        update=f"ec2:ModifySecurityGroupRules {_UNTAG_EC2}",
        delete="ec2:RevokeSecurityGroupEgress",
    ),
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": Calls(
        "network",
        "ec2/vpc_security_group_ingress_rule.go",
        create=f"ec2:AuthorizeSecurityGroupIngress {_TAGS_OF_EC2}",
        read=_RULES,
        update=f"ec2:ModifySecurityGroupRules {_UNTAG_EC2}",
        delete="ec2:RevokeSecurityGroupIngress",
    ),
}
"""Pulumi's type, without `aws:` -> what is asked for it. All that environments are made of."""

BY_AN_ADMINISTRATOR = (
    "iam/openIdConnectProvider:OpenIdConnectProvider",
    "iam/policy:Policy",
)
"""Types that only `herd bootstrap` makes, with the permissions of whoever runs it: no role here may."""

LOOK_UPS: Mapping[str, str] = {
    "getAvailabilityZones": "ec2:DescribeAvailabilityZones@network-lists",
    "getCallerIdentity": "",  # sts:GetCallerIdentity needs no permission
    "ec2.getSubnet": "ec2:DescribeSubnets@network-lists",
    "ec2.getVpc": "ec2:DescribeVpcs@network-lists ec2:DescribeVpcAttribute@network-lists"
    " ec2:DescribeRouteTables@network-lists",
    "ecr.getImage": "ecr:DescribeImages@repositories ecr:DescribeRepositories@repositories",
    "ecr.getRepository": "ecr:DescribeRepositories@repositories ecr:DescribeImages@repositories"
    " ecr:ListTagsForResource@repositories",
    "resourcegroupstaggingapi.getResources": "tag:GetResources@tags",
    "route53.getZone": "route53:ListHostedZones@zone-lists route53:GetHostedZone@zones"
    " route53:ListTagsForResource@zones",
    "s3.getAccountPublicAccessBlock": "s3:GetAccountPublicAccessBlock@account",
    "s3.getBucket": "s3:ListBucket@adopted-buckets s3:GetBucketLocation@adopted-buckets"
    " s3:GetBucketWebsite@adopted-buckets s3:GetBucketTagging@adopted-buckets",
    "sesv2.getEmailIdentity": "ses:GetEmailIdentity@mail-identities",
    "secretsmanager.getSecret": "secretsmanager:DescribeSecret@secrets secretsmanager:GetResourcePolicy@secrets",
}
"""Function of pulumi-aws -> what it asks for, in previews and deployments alike."""
