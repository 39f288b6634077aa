"""A small service, and a load balancer to put before it, declared with boto3."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from aiohttp import web
from moto.backends import get_backend

REGION = "eu-west-1"


class Target:
    """A small service on a port of its own, on a thread of its own."""

    def __init__(self, name: str):
        self.name = name
        self.gone = threading.Event()  # a client of /forever has hung up
        self.requests = 0
        self.peers: set[Any] = set()
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        ready.wait()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.step = asyncio.Event()
        runner = web.ServerRunner(
            web.Server(self._answer, handler_cancellation=True, access_log=None), shutdown_timeout=0.1
        )
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        await web.SockSite(runner, listener).start()
        ready.set()
        await self._ended.wait()
        self._loop.remove_reader(listener)  # as the gateway does at its end
        await asyncio.sleep(0.01)
        await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        self.peers.add(request.transport.get_extra_info("peername"))
        match request.path.rpartition("/")[2]:
            case "stream":
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                await self.step.wait()
                await response.write(b"data: one\n\n")
                self.step.clear()
                await self.step.wait()
                await response.write(b"data: two\n\n")
                return response
            case "forever":
                try:
                    await asyncio.sleep(60)
                finally:
                    self.gone.set()
            case "hang-up":
                request.transport.abort()
            case "cut":
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(b"half")
                request.transport.abort()
                return response
            case "large":
                return web.Response(body=b"x" * 5_000_000)
            case "broken":
                return web.Response(status=500)
            case "empty":
                return web.Response(status=204)
            case "headers":
                response = web.Response(status=201, reason="Made", text="ok")
                response.headers.add("Set-Cookie", "a=1")
                response.headers.add("Set-Cookie", "b=2")
                response.headers["Access-Control-Allow-Origin"] = "*"
                response.headers["Connection"] = "X-Private"
                response.headers["X-Private"] = "1"
                return response
        body = await request.content.read()
        said = {"target": self.name, "method": request.method, "url": request.raw_path, "body": len(body),
                "headers": {name.lower(): value for name, value in request.headers.items()}}  # fmt: skip
        return web.json_response(said)

    @property
    def connections(self) -> int:
        return len(self.peers)

    def next_step(self) -> None:
        self._loop.call_soon_threadsafe(self.step.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()


class Balancer:
    """A load balancer declared with boto3, and what tests change about it."""

    def __init__(self, site: Any):
        self.site = site
        ec2, self.elb = site.client("ec2"), site.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate("ab")
        ]
        self.vpc = vpc
        made = self.elb.create_load_balancer(Name="herd-dev", Subnets=subnets)["LoadBalancers"][0]
        self.arn, self.host = made["LoadBalancerArn"], made["DNSName"]
        missing = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain",
                                                                     "MessageBody": "nothing here"}}  # fmt: skip
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.arn, Protocol="HTTP", Port=80, DefaultActions=[missing]
        )["Listeners"][0]["ListenerArn"]
        self._priority = 0

    def encrypt(self) -> None:
        """Give the listener a certificate, which changes nothing here."""
        made = self.site.client("acm").request_certificate(DomainName="a.example")["CertificateArn"]
        certificates = [{"CertificateArn": made}]
        self.elb.modify_listener(ListenerArn=self.listener, Protocol="HTTPS", Certificates=certificates)

    def group(self, *ports: int, state: str = "healthy") -> str:
        arn = self.elb.create_target_group(
            Name=f"g{len(self._groups())}", Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip"
        )["TargetGroups"][0]["TargetGroupArn"]
        if ports:
            self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.1", "Port": port} for port in ports])
        self.health(arn, state)
        return arn

    def health(self, group: str, state: str, port: int | None = None) -> None:
        """What the agent does after its checks."""
        with self.site.server.lock:
            for one in self._groups()[group].targets.values():
                if port in (None, int(one["Port"])):
                    one["health"] = (state, None, None)

    def rule(self, path: str, action: dict[str, Any], **more: Any) -> None:
        self._priority += 10
        self.elb.create_rule(
            ListenerArn=self.listener,
            Priority=self._priority,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}],
            Actions=[action],
            **more,
        )

    def forward(self, path: str, group: str, **more: Any) -> None:
        self.rule(path, {"Type": "forward", "TargetGroupArn": group}, **more)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Any:
        return self.site.ask(self.host, path, method, body, **headers)

    def _groups(self) -> Any:
        return get_backend("elbv2")[self.site.server.account][REGION].target_groups
