"""What parts of an environment cost: the one table that messages and documentation take prices from.

List prices of us-east-1 in USD, without tax; other regions differ by up to a third. Whoever looks them up again changes
the figure and `AS_OF`; a test names the pages that then say something else.
"""

from dataclasses import dataclass

AS_OF = "2026-11-24"
"""When the figures were written down. The pages under `source` have what holds today."""

HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Price:
    """`usd` for one `unit`; `source` is the page of AWS that has it."""

    usd: float
    unit: str
    source: str

    @property
    def a_month(self) -> float:
        """Of what is paid by the hour, and is there day and night."""
        return self.usd * HOURS_A_MONTH


ADDRESS = Price(0.005, "public IPv4 address and hour", "https://aws.amazon.com/vpc/pricing/")
NAT_GATEWAY = Price(0.045, "NAT gateway and hour", "https://aws.amazon.com/vpc/pricing/")
NAT_TRAFFIC = Price(0.045, "GB through a NAT gateway", "https://aws.amazon.com/vpc/pricing/")
ENDPOINT = Price(0.01, "interface endpoint, zone and hour", "https://aws.amazon.com/privatelink/pricing/")
LOAD_BALANCER = Price(0.0225, "load balancer and hour", "https://aws.amazon.com/elasticloadbalancing/pricing/")
FARGATE_VCPU = Price(0.04048, "vCPU and hour", "https://aws.amazon.com/fargate/pricing/")
FARGATE_GB = Price(0.004445, "GB of memory and hour", "https://aws.amazon.com/fargate/pricing/")
LOAD_BALANCER_USE = Price(
    0.008, "capacity unit and hour of a load balancer", "https://aws.amazon.com/elasticloadbalancing/pricing/"
)
FARGATE_DISK_GB = Price(0.000111, "GB of disk above 20 and hour", "https://aws.amazon.com/fargate/pricing/")
SECRET = Price(0.4, "secret and month", "https://aws.amazon.com/secrets-manager/pricing/")
ZONE = Price(0.5, "hosted zone and month", "https://aws.amazon.com/route53/pricing/")
STORAGE = Price(0.023, "GB in S3 and month", "https://aws.amazon.com/s3/pricing/")
IMAGE_STORAGE = Price(0.1, "GB of images and month", "https://aws.amazon.com/ecr/pricing/")
CDN_TRAFFIC = Price(0.085, "GB that CloudFront delivers", "https://aws.amazon.com/cloudfront/pricing/")
SCHEDULE = Price(1e-6, "start by EventBridge Scheduler", "https://aws.amazon.com/eventbridge/pricing/")
QUEUE_CALL = Price(0.4e-6, "call of SQS", "https://aws.amazon.com/sqs/pricing/")
KEY = Price(1, "KMS key and month", "https://aws.amazon.com/kms/pricing/")
LOGS = Price(0.5, "GB taken by CloudWatch Logs", "https://aws.amazon.com/cloudwatch/pricing/")
ALARM = Price(0.1, "CloudWatch alarm and month", "https://aws.amazon.com/cloudwatch/pricing/")
FUNCTION_CALL = Price(0.2e-6, "call of a Lambda function", "https://aws.amazon.com/lambda/pricing/")
FUNCTION_GB_SECOND = Price(
    13.3334e-6, "GB and second of a Lambda function on Arm", "https://aws.amazon.com/lambda/pricing/"
)
TRANSITION = Price(25e-6, "state transition of Step Functions", "https://aws.amazon.com/step-functions/pricing/")
OBJECT_WRITE = Price(5e-6, "write or listing in S3", "https://aws.amazon.com/s3/pricing/")
OBJECT_READ = Price(0.4e-6, "object read from S3", "https://aws.amazon.com/s3/pricing/")
MAIL = Price(20e-6, "mail sent by SNS", "https://aws.amazon.com/sns/pricing/")

SPOT_DISCOUNT_PERCENT = 70
"""How much less Fargate Spot costs than Fargate, about. Source: https://aws.amazon.com/fargate/pricing/"""

VERIFY_AT_MOST_USD = 1
"""A run of `herd verify`: all that it makes, while it is there."""
