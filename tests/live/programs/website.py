"""A static website: a bucket with an index and an error document, its pages, and a policy that lets anyone read."""

import os

import pulumi
import pulumi_aws as aws

bucket = aws.s3.Bucket("site", force_destroy=True)
aws.s3.BucketOwnershipControls("owner", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"})
block = aws.s3.BucketPublicAccessBlock(
    "open", bucket=bucket.id, block_public_acls=True, block_public_policy=False, restrict_public_buckets=False
)
website = aws.s3.BucketWebsiteConfiguration(
    "website", bucket=bucket.id, index_document={"suffix": "index.html"}, error_document={"key": "404.html"}
)
policy = aws.iam.get_policy_document_output(
    statements=[
        {
            "principals": [{"type": "*", "identifiers": ["*"]}],
            "actions": ["s3:GetObject"],
            "resources": [pulumi.Output.concat(bucket.arn, "/*")],
        }
    ]
)
aws.s3.BucketPolicy("readers", bucket=bucket.id, policy=policy.json, opts=pulumi.ResourceOptions(depends_on=[block]))
words = "changed" if os.environ.get("CHANGED") else "hello"
page = pulumi.StringAsset(f"<h1>{words}</h1>")
aws.s3.BucketObjectv2("index.html", bucket=bucket.id, source=page, content_type="text/html")
aws.s3.BucketObject("404.html", bucket=bucket.id, content="<h1>nothing here</h1>", content_type="text/html")
aws.s3.BucketObjectv2("program", bucket=bucket.id, key="src/program.py", source=pulumi.FileAsset("__main__.py"))
pulumi.export("url", pulumi.Output.concat("http://", website.website_endpoint))
