"""CloudFront: distributions, and what lets them read a private bucket. Here nothing is cached."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from localcloud.plugins.conversion import from_api, pascal, to_api
from localcloud.plugins.resource import Autoname, Cloud, Resource, resource_type
from localcloud.plugins.schema import Field
from localcloud.plugins.tags import Tagging, Tags
from localcloud.plugins.values import Props


class _Tagging(Tagging):
    """CloudFront puts each list into an object."""

    def change(self, client: Any, resource: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        gone = [name for name in old if name not in new]
        if gone:
            client.untag_resource(Resource=resource, TagKeys={"Items": gone})
        added = {name: text for name, text in new.items() if old.get(name) != text}
        if added:
            client.tag_resource(Resource=resource, Tags={"Items": self.wrap(added)})

    def read(self, client: Any, resource: str) -> Tags:
        return self.unwrap(client.list_tags_for_resource(Resource=resource)["Tags"].get("Items"))


@resource_type
class OriginAccessControl(Resource):
    """How a distribution signs its requests to a private origin; its id is its own."""

    token = "aws:cloudfront/originAccessControl:OriginAccessControl"
    service = "cloudfront"
    regional = False
    table = """
        name ^
        description
        originAccessControlOriginType !
        signingBehavior !
        signingProtocol !
        arn ~ =-
        etag ~ =-
    """
    autoname = Autoname(limit=64)
    recomputed = frozenset({"etag"})
    _member = "OriginAccessControlConfig"

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        answer = self.call(cloud, "create_origin_access_control", **{self._member: self._config(inputs)})
        number = str(answer["OriginAccessControl"]["Id"])
        return number, self._live(cloud, number, answer)

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        return self._live(cloud, identifier, self.call(cloud, "get_origin_access_control", Id=identifier))

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        answer = self.call(
            cloud, "update_origin_access_control", Id=identifier, IfMatch=self._etag(cloud, identifier),
            **{self._member: self._config(new)},
        )  # fmt: skip
        return {"etag": answer["ETag"]}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        etag = self._etag(cloud, identifier)
        self.call(cloud, "delete_origin_access_control", Id=identifier, IfMatch=etag)

    def _config(self, inputs: Props) -> Props:
        return {"Description": "", **self.arguments_of(inputs)}

    def arguments_of(self, inputs: Props) -> Props:
        return to_api(self.fields, inputs, pascal)

    def _etag(self, cloud: Cloud, identifier: str) -> str:
        return str(self.call(cloud, "get_origin_access_control", Id=identifier)["ETag"])

    def _live(self, cloud: Cloud, number: str, answer: Props) -> Props:
        config = answer["OriginAccessControl"][self._member]
        arn = cloud.arn("cloudfront", f"origin-access-control/{number}", regional=False)
        return {**from_api(self.fields, config, pascal), "arn": arn, "etag": answer["ETag"]}


_BEHAVIOUR = """
            allowedMethods set ! =-
            cachedMethods set ! =-
            targetOriginId !
            viewerProtocolPolicy !
            cachePolicyId
            originRequestPolicyId
            responseHeadersPolicyId
            compress bool
            smoothStreaming bool
            defaultTtl int ? =DefaultTTL
            maxTtl int ? =MaxTTL
            minTtl int ? =MinTTL
            functionAssociations bag =-
                eventType !
                functionArn ! =FunctionARN
"""


@resource_type
class Distribution(Resource):
    """An address that serves origins to the world; its id is its own. Deleting disables it first, as it must be."""

    token = "aws:cloudfront/distribution:Distribution"
    service = "cloudfront"
    regional = False
    table = f"""
        enabled bool !
        comment
        aliases set =-
        defaultRootObject
        httpVersion default:http2
        isIpv6Enabled bool =IsIPV6Enabled
        priceClass default:PriceClass_All
        webAclId =WebACLId
        retainOnDelete bool =-
        waitForDeployment bool default:true =-
        origins bag ! =-
            originId ! =Id
            domainName !
            originPath
            originAccessControlId
            connectionAttempts int default:3
            connectionTimeout int default:10
            customHeaders bag =-
                name ! =HeaderName
                value ! =HeaderValue
            customOriginConfig object
                httpPort int ! =HTTPPort
                httpsPort int ! =HTTPSPort
                originProtocolPolicy !
                originSslProtocols set ! =-
                originKeepaliveTimeout int default:5
                originReadTimeout int default:30
            s3OriginConfig object =-
                originAccessIdentity !
        defaultCacheBehavior object ! =-
            {_BEHAVIOUR.strip()}
        orderedCacheBehaviors objects =-
            pathPattern !
            {_BEHAVIOUR.strip()}
        customErrorResponses bag =-
            errorCode int !
            responseCode int =-
            responsePagePath
            errorCachingMinTtl int =ErrorCachingMinTTL
        restrictions object ! =-
            geoRestriction object !
                restrictionType !
                locations set
        viewerCertificate object !
            acmCertificateArn =ACMCertificateArn
            iamCertificateId =IAMCertificateId
            cloudfrontDefaultCertificate bool =CloudFrontDefaultCertificate
            minimumProtocolVersion default:TLSv1
            sslSupportMethod =SSLSupportMethod
        loggingConfig object =-
            bucket
            includeCookies bool
            prefix
        arn ~ =-
        callerReference ~
        domainName ~ =-
        etag ~ =-
        hostedZoneId ~ =-
        inProgressValidationBatches int ~ =-
        lastModifiedTime ~ =-
        loggingV1Enabled bool ~ =-
        status ~ =-
        trustedKeyGroups list ~ =-
        trustedSigners list ~ =-
    """
    tagging = _Tagging(resource="Resource")
    recomputed = frozenset({"etag", "status", "lastModifiedTime"})

    def create(self, cloud: Cloud, inputs: Props) -> tuple[str, Props]:
        config = {"CallerReference": str(uuid.uuid4()), **self._config(inputs)}
        tags = [{"Key": name, "Value": text} for name, text in self.all_tags(cloud, inputs).items()]
        request = {"DistributionConfig": config, "Tags": {"Items": tags}}
        answer = self.call(cloud, "create_distribution_with_tags", DistributionConfigWithTags=request)
        number = str(answer["Distribution"]["Id"])
        return number, self.read(cloud, number, {}) or {}

    def read(self, cloud: Cloud, identifier: str, props: Props) -> Props | None:
        answer = self.call(cloud, "get_distribution", Id=identifier)
        described = answer["Distribution"]
        live = self._live(described["DistributionConfig"])
        return {
            **live, "arn": described["ARN"], "domainName": described["DomainName"], "etag": answer["ETag"],
            "hostedZoneId": "Z2FDTNDATAQYW2", "inProgressValidationBatches": 0.0, "status": described["Status"],
            "lastModifiedTime": str(described["LastModifiedTime"]), "trustedKeyGroups": [], "trustedSigners": [],
            "loggingV1Enabled": bool(live.get("loggingConfig")),
            "tagsAll": self.tagging.read(cloud.client("cloudfront"), described["ARN"]) if self.tagging else {},
        }  # fmt: skip

    def update(self, cloud: Cloud, identifier: str, old: Props, new: Props, changed: set[str]) -> Props:
        if changed - {"tags", "tagsAll", "retainOnDelete", "waitForDeployment"}:
            return {"etag": self._put(cloud, identifier, self._config(new))}
        return {}

    def delete(self, cloud: Cloud, identifier: str, props: Props) -> None:
        described = self.call(cloud, "get_distribution_config", Id=identifier)
        if described["DistributionConfig"]["Enabled"]:
            self._put(cloud, identifier, {"Enabled": False})
        if not props.get("retainOnDelete"):
            etag = self.call(cloud, "get_distribution_config", Id=identifier)["ETag"]
            self.call(cloud, "delete_distribution", Id=identifier, IfMatch=etag)

    def _put(self, cloud: Cloud, identifier: str, wanted: Props) -> str:
        described = self.call(cloud, "get_distribution_config", Id=identifier)
        config = {**described["DistributionConfig"], **wanted}
        return str(
            self.call(
                cloud, "update_distribution", Id=identifier, IfMatch=described["ETag"], DistributionConfig=config
            )["ETag"]
        )

    def _config(self, inputs: Props) -> Props:
        fields, logging = self.fields, inputs.get("loggingConfig") or {}
        ordered, errors = inputs.get("orderedCacheBehaviors") or [], inputs.get("customErrorResponses") or []
        settings = {"Comment": "", "DefaultRootObject": "", "WebACLId": "", **to_api(fields, inputs, pascal)}
        geo = inputs["restrictions"]["geoRestriction"]
        return {
            **settings,
            "Aliases": _listed(inputs.get("aliases")),
            "Origins": _listed([_origin(fields["origins"], each) for each in inputs["origins"]]),
            "DefaultCacheBehavior": _behaviour(fields["defaultCacheBehavior"], inputs["defaultCacheBehavior"]),
            "CacheBehaviors": _listed([_behaviour(fields["orderedCacheBehaviors"], each) for each in ordered]),
            "CustomErrorResponses": _listed([_error(fields["customErrorResponses"], each) for each in errors]),
            "Restrictions": {
                "GeoRestriction": {"RestrictionType": geo["restrictionType"], **_listed(geo.get("locations"))}
            },
            "Logging": {
                "Enabled": bool(logging.get("bucket")), "IncludeCookies": bool(logging.get("includeCookies")),
                "Bucket": logging.get("bucket") or "", "Prefix": logging.get("prefix") or "",
            },
        }  # fmt: skip

    def _live(self, config: Mapping[str, Any]) -> Props:
        fields = self.fields
        geo, logging = config["Restrictions"]["GeoRestriction"], config.get("Logging") or {}
        live = {
            **from_api(fields, config, pascal),
            "aliases": _items(config.get("Aliases")),
            "origins": [_origin_read(fields["origins"], each) for each in _items(config["Origins"])],
            "defaultCacheBehavior": _behaviour_read(fields["defaultCacheBehavior"], config["DefaultCacheBehavior"]),
            "orderedCacheBehaviors": [
                _behaviour_read(fields["orderedCacheBehaviors"], each) for each in _items(config.get("CacheBehaviors"))
            ],
            "customErrorResponses": [
                _error_read(fields["customErrorResponses"], each)
                for each in _items(config.get("CustomErrorResponses"))
            ],
            "restrictions": {
                "geoRestriction": {"restrictionType": geo["RestrictionType"], "locations": _items(geo)}
            },
        }  # fmt: skip
        if logging.get("Enabled"):
            live["loggingConfig"] = {
                "bucket": logging["Bucket"], "includeCookies": logging.get("IncludeCookies", False),
                "prefix": logging.get("Prefix", ""),
            }  # fmt: skip
        return live


def _listed(items: list[Any] | None) -> Props:
    return {"Quantity": len(items), "Items": items} if items else {"Quantity": 0}


def _items(listed: Mapping[str, Any] | None) -> list[Any]:
    return list((listed or {}).get("Items") or [])


def _origin(known: Field, origin: Props) -> Props:
    """An origin without a configuration of its own is a bucket."""
    settings = to_api(known.fields, origin, pascal)
    headers = [to_api(known.fields["customHeaders"].fields, each, pascal) for each in origin.get("customHeaders") or []]
    settings |= {"OriginPath": "", **settings, "CustomHeaders": _listed(headers)}
    if origin.get("customOriginConfig"):
        settings["CustomOriginConfig"]["OriginSslProtocols"] = _listed(
            origin["customOriginConfig"]["originSslProtocols"]
        )
    else:
        identity = (origin.get("s3OriginConfig") or {}).get("originAccessIdentity") or ""
        settings["S3OriginConfig"] = {"OriginAccessIdentity": identity}
    return settings


def _origin_read(known: Field, origin: Mapping[str, Any]) -> Props:
    live = from_api(known.fields, origin, pascal)
    headers = [from_api(known.fields["customHeaders"].fields, each, pascal) for each in _items(origin["CustomHeaders"])]
    live |= {"customHeaders": headers} if headers else {}
    if origin.get("CustomOriginConfig"):
        live["customOriginConfig"]["originSslProtocols"] = _items(origin["CustomOriginConfig"]["OriginSslProtocols"])
    identity = (origin.get("S3OriginConfig") or {}).get("OriginAccessIdentity")
    return {**live, **({"s3OriginConfig": {"originAccessIdentity": identity}} if identity else {})}


def _behaviour(known: Field, behaviour: Props) -> Props:
    inner = known.fields["functionAssociations"].fields
    functions = [to_api(inner, each, pascal) for each in behaviour.get("functionAssociations") or []]
    methods = {**_listed(behaviour["allowedMethods"]), "CachedMethods": _listed(behaviour["cachedMethods"])}
    settings = {**to_api(known.fields, behaviour, pascal), "AllowedMethods": methods}
    return {**settings, "FunctionAssociations": _listed(functions)}


def _behaviour_read(known: Field, behaviour: Mapping[str, Any]) -> Props:
    inner = known.fields["functionAssociations"].fields
    methods = behaviour.get("AllowedMethods") or {}
    functions = [from_api(inner, each, pascal) for each in _items(behaviour.get("FunctionAssociations"))]
    live = {**from_api(known.fields, behaviour, pascal), "allowedMethods": _items(methods)}
    live["cachedMethods"] = _items(methods.get("CachedMethods"))
    return {**live, **({"functionAssociations": functions} if functions else {})}


def _error(known: Field, response: Props) -> Props:
    settings = to_api(known.fields, response, pascal)
    return {
        **settings,
        **({"ResponseCode": str(int(response["responseCode"]))} if response.get("responseCode") else {}),
    }


def _error_read(known: Field, response: Mapping[str, Any]) -> Props:
    code = response.get("ResponseCode")
    return {**from_api(known.fields, response, pascal), **({"responseCode": float(code)} if code else {})}
